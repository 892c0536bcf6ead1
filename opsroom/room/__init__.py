"""The room's server half: who is signed in, what their tabs are shown live, and the plain HTTP endpoints beside
Reflex.
"""
