"""Actors on asyncio: pykka's references and registry, our own mailbox, future and loop."""
