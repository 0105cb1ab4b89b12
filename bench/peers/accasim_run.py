"""Runs one trace through AccaSim and prints CPU and wall seconds, jobs and averages: accasim_run.py TRACE fcfs|easy SYSTEM.json"""
import collections
import collections.abc
import datetime
import glob
import json
import sys
import time

# AccaSim 1.1.3 (2019) imports these from where Python 3.10 has them no more.
for name in ("Mapping", "MutableMapping", "Sequence", "Iterable", "Callable"):
    setattr(collections, name, getattr(collections.abc, name))

from accasim.base.allocator_class import FirstFit
from accasim.base.scheduler_class import EASYBackfilling, FirstInFirstOut
from accasim.base.simulator_class import Simulator

trace, policy, system = sys.argv[1:]
scheduler = {"easy": EASYBackfilling, "fcfs": FirstInFirstOut}[policy](FirstFit())
simulator = Simulator(trace, system, scheduler, scheduling_output=True, statistics_output=False, show_statistics=False)
cpu, wall = time.process_time(), time.time()
simulator.start_simulation()
cpu, wall = time.process_time() - cpu, time.time() - wall

jobs = waited = slowdown = 0
parse = lambda text: datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
for line in open(glob.glob("results/sched-*")[0]):
    head, _, times = line.rstrip().split("__")
    submitted = parse(head.split(";")[-1])
    start, end = (parse(text) for text in times.split(";")[:2])
    wait, run = (start - submitted).total_seconds(), (end - start).total_seconds()
    jobs += 1
    waited += wait
    slowdown += max(1, (wait + run) / max(10, run))
print(json.dumps({"jobs": jobs, "cpuSeconds": cpu, "wallSeconds": wall, "averageWait": waited / jobs, "averageBoundedSlowdown": slowdown / jobs}))
