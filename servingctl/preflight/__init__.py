"""Whether everything that services need is there: facts are read in one place, and judged in the others."""
