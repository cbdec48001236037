"""One sample event for each function and trigger, made by the code that makes and reads them in earnest."""
