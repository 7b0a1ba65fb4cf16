"""What a real GPU does under batches: how long they take, and how busy the GPU calls itself at which load."""
