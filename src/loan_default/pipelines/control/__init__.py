"""Control of a stack: requests on the topic `commands`, the first training, and the status."""
