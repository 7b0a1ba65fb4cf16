"""Hours of random rollouts, loads and faults on the local cluster: does everything end as it should, and does anything leak?"""
