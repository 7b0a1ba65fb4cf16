"""The real operator against the fake API store, in virtual time, with faults between them.

Scenarios and mutants are in files by subject; to import anything of the package completes both lists.
"""

from tests.campaign import judged_mutants as judged_mutants
from tests.campaign import judged_scenarios as judged_scenarios
from tests.campaign import midway_scenarios as midway_scenarios
