"""Experiments on one machine: probing a link, emulating a slow one."""
