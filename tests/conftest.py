"""What every test starts from."""

import asyncio

# Otherwise pytest-asyncio, asking for the loop in force before its first own, makes asyncio create one that
# nobody closes: a ResourceWarning, and warnings are errors.
asyncio.set_event_loop(None)
