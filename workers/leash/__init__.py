"""The leash: a tiny program that starts the processes of runs and outlives none of them.

The worker starts it once. For every control socket that it is handed it forks a *supervisor*, and the supervisor starts
the commands, one after the other. The supervisor is the subreaper of all that its command starts, so `setsid` and
double forks do not escape it: an orphan becomes its child, and "no child left" is an exact answer. Where the machine
lets it, it also lives in a control group of its own, which its commands are born into, and which is found empty but for
itself. It kills everything

- when the worker asks (`stop`: TERM to the process group, a grace, then KILL to the whole tree; `kill`: at once),
- when the worker dies (its end of the control socket closes), whatever it died of,
- when the lease runs out (`until`, on the system-wide monotonic clock), so also when the worker is only stopped,
- when the command itself ends: nothing it left in the background lives on.

Standard library only and no import of the project besides this package: it must start in milliseconds and stay small.

Messages are lines of JSON. Worker to supervisor: `{"argv","env","cwd","until"}`, with the two streams of the command
attached to a blank before it; then `{"do":"until","at":time}`, `{"do":"stop","grace":seconds}`, `{"do":"kill"}`. Back:
`{"pid"}` or `{"error"}`, and after a command `{"exit","signal","left"}`: it takes the next one then.
"""
