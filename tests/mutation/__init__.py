"""Does a test notice when a line of the deciding modules is wrong? `make mutation` changes them one by one."""
