import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { annotations, attemptOf, hostImage, leaseOf, openFailureExitCode, takenReason } from "@berth/kinds";
import type { Container, ContainerTerminated, Lease, Pod, TerminationReport } from "@berth/kinds";
import { leaseTerminatedBy, openFailureOf, terminatedBy } from "./container-ends.ts";
import { deadlineOf, graceOf, leaseDeadline } from "./deadlines.ts";
import { ConfigurationError } from "./environment.ts";
import { bootId, uptimeSeconds } from "./host.ts";
import { launchRequest, type Prepared } from "./launch-request.ts";
import { LeaseRun } from "./lease-run.ts";
import type { NodeContext } from "./node-context.ts";
import { identityOf } from "./pod-identity.ts";
import { isFinished, timestamp, type ContainerState, type PodFacts } from "./pod-status.ts";
import type { Suspension } from "./suspensions.ts";
import type { Identity } from "./task.ts";
import { isFull, type TaskEnd } from "./tasks.ts";
import { VolumeError } from "./volumes.ts";

const firstBackoffMs = 10_000;
const longestBackoffMs = 300_000;
/** How often the status tells what became of the tasks of a lease that goes on. */
const leaseReportMs = 1000;

/** One pod on this node: starts its containers, follows its gate and its deletion, and keeps the facts of its status. */
export class PodWorker {
  readonly #context: NodeContext;
  readonly #stop = new AbortController();
  readonly facts: PodFacts;
  #pod: Pod;
  #gate = Promise.withResolvers<void>();
  #active = new Set<string>();
  #lease: LeaseRun | undefined;
  #runsAs: Identity | undefined;
  #killed: { stage: string; graceSeconds: number } | undefined;
  readonly #suspension: Suspension;
  /** Resolves when nothing of the pod runs any more and its facts are final. */
  readonly done: Promise<void>;

  constructor(context: NodeContext, pod: Pod) {
    this.#context = context;
    this.#pod = pod;
    const begun = pod.status?.startTime;
    const state = (container: Container): ContainerState => ({ container, restartCount: 0 });
    const gate = pod.metadata.annotations?.[annotations.gate];
    this.facts = {
      pod,
      startedAt: begun === undefined ? Date.now() : Date.parse(begun),
      init: (pod.spec.initContainers ?? []).map(state),
      main: pod.spec.containers.map(state),
      gateOpen: gate === undefined ? undefined : gate !== "closed",
      suspension: () => this.#suspension.report,
    };
    this.#suspension = context.suspensions.of(pod.metadata.uid!, () =>
      queueMicrotask(() => context.changed(this, "now")),
    );
    this.#gate.promise.catch(() => {});
    this.done = this.#run();
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** Who the pod runs as, once that is known. */
  get identity(): Identity | undefined {
    return this.#runsAs;
  }

  get finished(): boolean {
    return isFinished(this.facts) && this.#active.size === 0;
  }

  /** A newer version of the pod: its gate may have opened, its deletion been asked for. */
  update(pod: Pod): void {
    const before = this.#pod.metadata.annotations?.[annotations.wallTimeSeconds];
    this.#pod = pod;
    this.facts.pod = pod;
    if (before !== pod.metadata.annotations?.[annotations.wallTimeSeconds]) this.#moveDeadline();
    if (this.facts.gateOpen === false && pod.metadata.annotations?.[annotations.gate] !== "closed") {
      this.facts.gateOpen = true;
      this.#gate.resolve();
      this.#context.changed(this, "soon");
    }
    this.#lease?.update(pod, graceOf(this.#pod));
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.end("deleted", pod.metadata.deletionGracePeriodSeconds ?? graceOf(this.#pod));
    }
    this.#suspendOrResume();
  }

  /** What runs of it stands still as its annotation says. Who is being ended goes on, so that it can end. */
  #suspendOrResume(): void {
    const isWanted = (this.#pod.metadata.annotations?.[annotations.suspend] ?? "") !== "" && this.#killed === undefined;
    const runs = [...this.#active].sort().flatMap((run) => {
      const record = this.#context.tasks.record(run);
      return record === undefined ? [] : [{ run, ...record }];
    });
    this.#suspension.set(isWanted && runs.length > 0, runs);
  }

  #activate(run: string): void {
    this.#active.add(run);
    this.#suspendOrResume();
  }

  #deactivate(run: string): void {
    this.#active.delete(run);
    this.#suspendOrResume();
  }

  /** Ends all containers: TERM, after the grace KILL. A shorter grace than before counts. */
  end(stage: string, graceSeconds: number): void {
    if (this.#killed !== undefined && this.#killed.graceSeconds <= graceSeconds) return;
    this.#killed = { stage, graceSeconds };
    this.#stop.abort();
    this.#gate.reject(new Error(stage));
    if (this.#lease !== undefined) this.#lease.end(stage, graceSeconds);
    else for (const run of this.#active) this.#context.tasks.end(run, graceSeconds, stage);
    this.#suspendOrResume();
  }

  async #run(): Promise<void> {
    const { facts } = this;
    try {
      const environment = await this.#prepare();
      if (facts.gateOpen === false) {
        for (const state of facts.main) state.running = { startedAt: Date.now() };
        this.#context.changed(this, "soon");
        await this.#gate.promise.finally(() => facts.main.forEach((state) => (state.running = undefined)));
      }
      for (const state of facts.init) {
        await this.#containerLoop(state, environment, true);
        if (state.terminated?.exitCode !== 0) break;
      }
      const lease = leaseOf(this.#pod);
      if (lease !== undefined) await this.#withRoom(() => this.#runLease(facts.main[0]!, lease, environment));
      else if (facts.init.every((state) => state.terminated?.exitCode === 0) && facts.ended === undefined) {
        await Promise.all(facts.main.map((state) => this.#containerLoop(state, environment, false)));
      }
    } catch (error) {
      this.#fail(error);
    }
    if (this.#killed !== undefined && facts.ended === undefined && !isFinished(facts)) {
      facts.ended = { reason: "Deleted", message: "the pod was deleted before it had ended" };
    }
    this.#suspension.finish();
    this.#context.cores.release(this.#pod.metadata.uid!);
    this.#context.volumes.release(this.#pod.metadata.uid!);
    this.#context.changed(this, "now");
  }

  #fail(error: unknown): void {
    const { facts } = this;
    if (this.#killed !== undefined) return;
    const known = error instanceof ConfigurationError || error instanceof VolumeError || error instanceof ImageError;
    const reason = known ? error.name : "FailedCreatePodContainer";
    const message = error instanceof Error ? error.message : String(error);
    for (const state of [...facts.init, ...facts.main]) {
      state.running = undefined;
      if (state.terminated === undefined) state.waiting = { reason, message };
    }
    facts.ended = { reason, message };
    this.#context.event(this.#pod, "Warning", reason, message);
    if (!known) this.#context.log("error", message, { pod: this.#pod.metadata.name });
  }

  async #prepare(): Promise<Prepared> {
    const { spec } = this.#pod;
    const foreign = [...spec.containers, ...(spec.initContainers ?? [])].find(({ image }) => image !== hostImage);
    if (foreign !== undefined) {
      throw new ImageError(
        `container "${foreign.name}": image "${foreign.image ?? ""}" cannot be had here, OCI images come later; image "${hostImage}" (this machine's own file system) works`,
      );
    }
    const identity = await identityOf(this.#context, this.#pod);
    this.#runsAs = identity;
    const owner = this.#context.driver.namespaces === "none" && process.getuid?.() === 0 ? identity : undefined;
    const folders = this.#withRoom(() => this.#context.volumes.prepare(this.#pod, this.#context.nodeName, owner));
    // What an earlier agent began has its volumes, also where they could not be had again.
    if (this.#hasBegun()) folders.catch(() => {});
    else await folders;
    return { identity, folders };
  }

  #hasBegun(): boolean {
    return [...this.facts.init, ...this.facts.main].some(({ container: { name } }) => {
      const run = `${this.#pod.metadata.uid}/${name}.${this.#lastRun(name)}`;
      return this.#context.tasks.state(run) !== undefined;
    });
  }

  async #containerLoop(state: ContainerState, prepared: Prepared, isInit: boolean): Promise<void> {
    const policy = this.#pod.spec.restartPolicy ?? "Always";
    state.restartCount = this.#lastRun(state.container.name);
    for (let failures = 0; ;) {
      const begun = Date.now();
      const terminated = await this.#once(state, prepared);
      state.running = undefined;
      state.terminated = terminated;
      const failed = terminated.exitCode !== 0;
      const again =
        this.#killed === undefined &&
        this.facts.ended === undefined &&
        (isInit ? failed && policy !== "Never" : policy === "Always" || (policy === "OnFailure" && failed));
      if (!again) return;
      // As the kubelet: a container that ran for ten minutes begins anew with short pauses.
      failures = Date.now() - begun > 2 * longestBackoffMs ? 0 : failures + 1;
      state.lastTerminated = terminated;
      const pauseMs = failures === 1 ? 0 : Math.min(longestBackoffMs, firstBackoffMs * 2 ** (failures - 2));
      if (pauseMs > 0) {
        const message = `back-off ${pauseMs / 1000}s restarting failed container=${state.container.name}`;
        state.waiting = { reason: "CrashLoopBackOff", message };
        state.terminated = undefined;
        this.#context.changed(this, "now");
        // A pause does not outlast the wall time.
        const uptime = uptimeSeconds();
        const deadline = deadlineOf(this.#pod, this.facts.startedAt)?.uptimeSeconds ?? Infinity;
        const leftMs = (deadline + this.#suspension.between(0, uptime) - uptime) * 1000;
        const pause = Math.max(0, Math.min(pauseMs, leftMs));
        await delay(pause, undefined, { signal: this.#stop.signal }).catch(() => {});
        state.waiting = undefined;
        if (leftMs < pauseMs && this.#killed === undefined) this.#outOfTime("timelimit");
        if (this.#stop.signal.aborted) {
          state.terminated = terminated;
          return;
        }
      }
      state.terminated = undefined;
      state.restartCount += 1;
    }
  }

  /** Number of the newest run of a container that has a folder; 0 where there is none. */
  #lastRun(container: string): number {
    const folder = join(this.#context.podsDirectory, this.#pod.metadata.uid!);
    if (!existsSync(folder)) return 0;
    const numbers = readdirSync(folder)
      .filter((name) => name.startsWith(`${container}.`))
      .map((name) => Number(name.slice(container.length + 1)));
    return Math.max(0, ...numbers.filter(Number.isInteger));
  }

  /** The tasks of a lease, one after the other in one launcher, which goes on without this process. */
  async #runLease(state: ContainerState, lease: Lease, prepared: Prepared): Promise<void> {
    const { tasks, claims, changed } = this.#context;
    const uid = this.#pod.metadata.uid!;
    const run = `${uid}/${state.container.name}.0`;
    const known = tasks.state(run);
    if (known === undefined && this.#wasRunning(state)) {
      state.terminated = this.#lost(undefined);
      return;
    }
    const claim = claims.take(this.#pod, lease.tasks) ?? { of: uid, tasks: lease.tasks };
    const leaseRun = new LeaseRun(tasks, run, lease, claim.tasks, (from, to) => this.#suspension.between(from, to));
    this.#lease = leaseRun;
    this.facts.lease = () => leaseRun.report();
    const wasRestarted = known !== undefined && tasks.record(run)?.bootId !== bootId();
    const close = (): void => claims.release(uid, leaseRun.close(wasRestarted));
    try {
      // What runs already is followed to its end, also where that was asked for while no agent looked.
      if (known === undefined) this.#stop.signal.throwIfAborted();
      let ending: Promise<TaskEnd>;
      if (known !== undefined) ending = new Promise<TaskEnd>((resolve) => tasks.takeBack(run, resolve));
      else if (claim.tasks.length === 0)
        ending = Promise.resolve({ endedAtMs: Date.now(), exitCode: 0, outOfMemory: false });
      else {
        const request = await launchRequest(
          this.#context,
          this.#pod,
          state.container,
          run,
          prepared,
          this.facts.startedAt,
          true,
        );
        this.#stop.signal.throwIfAborted();
        ending = tasks.run({ ...request, claim, lease: { tasks: claim.tasks, seconds: lease.seconds } });
      }
      this.#activate(run);
      const cores = tasks.record(run)?.cores;
      if (cores !== undefined) this.#context.cores.keep(uid, cores);
      state.running = { startedAt: this.#startOf(known?.startedAt) };
      leaseRun.begun();
      leaseRun.update(this.#pod, graceOf(this.#pod));
      if (this.#killed !== undefined) leaseRun.end(this.#killed.stage, this.#killed.graceSeconds);
      changed(this, "soon");
      const timer = setInterval(() => {
        if (leaseRun.look()) changed(this, "soon");
      }, leaseReportMs);
      const end = await ending.finally(() => {
        clearInterval(timer);
        this.#deactivate(run);
      });
      close();
      state.terminated = this.#leaseTerminated(state, leaseRun, end);
      state.running = undefined;
    } catch (error) {
      close();
      throw error;
    }
  }

  #leaseTerminated(state: ContainerState, { state: told }: LeaseRun, end: TaskEnd): ContainerTerminated {
    const ended = told?.ended ?? [];
    const words = end.setupFailure ?? told?.setupWords;
    if (words !== undefined) this.#context.event(this.#pod, "Warning", "FailedCreatePodContainer", words);
    if (end.exitCode === undefined && ended.length === 0 && end.setupFailure === undefined) return this.#lost(end);
    for (const one of ended)
      if (one.exitCode === openFailureExitCode)
        one.ending ??= this.#openFailure(this.#lease!.run, one.exitCode).failure;
    return leaseTerminatedBy(end, ended, words, told?.startedAt ?? state.running?.startedAt ?? this.facts.startedAt);
  }

  /** It ran once, says the API. */
  #wasRunning(state: ContainerState): boolean {
    return (
      this.#pod.status?.containerStatuses?.some(
        ({ name, restartCount, state: before }) =>
          name === state.container.name && restartCount === state.restartCount && before?.running !== undefined,
      ) === true
    );
  }

  async #once(state: ContainerState, prepared: Prepared): Promise<ContainerTerminated> {
    const { tasks } = this.#context;
    const run = `${this.#pod.metadata.uid}/${state.container.name}.${state.restartCount}`;
    const known = tasks.state(run);
    // And this node knows nothing of it: its folder is gone. To run it again could be a second time.
    if (known === undefined && this.#wasRunning(state) && this.facts.gateOpen === undefined)
      return this.#lost(undefined);
    // What runs already is followed to its end, also where that was asked for while no agent looked.
    if (known === undefined) this.#stop.signal.throwIfAborted();
    const task = attemptOf(this.#pod)?.task;
    const claim = task === undefined ? undefined : this.#context.claims.take(this.#pod, [task]);
    if (claim?.tasks.length === 0) return this.#taken();
    if (known !== undefined)
      return this.#follow(state, run, known.startedAt, new Promise<TaskEnd>((resolve) => tasks.takeBack(run, resolve)));
    return this.#withRoom(async () => {
      const request = await launchRequest(
        this.#context,
        this.#pod,
        state.container,
        run,
        prepared,
        this.facts.startedAt,
      );
      return this.#follow(state, run, undefined, tasks.run({ ...request, claim }));
    });
  }

  /** Follows a task that was handed to a launcher to its end. */
  async #follow(
    state: ContainerState,
    run: string,
    startedAt: number | undefined,
    ending: Promise<TaskEnd>,
  ): Promise<ContainerTerminated> {
    const { tasks } = this.#context;
    this.#activate(run);
    const record = tasks.record(run);
    if (record?.cores !== undefined) this.#context.cores.keep(this.#pod.metadata.uid!, record.cores);
    state.running = { startedAt: this.#startOf(startedAt) };
    // The wall time may have been changed while no agent looked.
    if (startedAt !== undefined) this.#moveDeadline();
    if (this.#killed !== undefined) tasks.end(run, this.#killed.graceSeconds, this.#killed.stage);
    this.#context.changed(this, "soon");
    const end = await ending.finally(() => this.#deactivate(run));
    return this.#terminated(state, run, end);
  }

  /** Does it, and again after pauses for as long as the disk is full: a job that was accepted is not lost for that. */
  async #withRoom<T>(step: () => Promise<T>): Promise<T> {
    const waiting = [...this.facts.init, ...this.facts.main];
    for (let pauseMs = 250; ; pauseMs = Math.min(5000, pauseMs * 2)) {
      try {
        return await step();
      } catch (error) {
        if (!isFull(error)) throw error;
        const message = `no space is left in ${this.#context.dataDirectory}: it starts when there is room`;
        if (pauseMs === 250) {
          this.#context.event(this.#pod, "Warning", "FailedCreatePodContainer", message);
          this.#context.log("warn", message, { pod: this.#pod.metadata.name });
        }
        for (const state of waiting) {
          state.running = undefined;
          if (state.terminated === undefined) state.waiting = { reason: "NoSpace", message };
        }
        this.#context.changed(this, "soon");
        await delay(pauseMs, undefined, { signal: this.#stop.signal });
        for (const state of waiting) state.waiting = undefined;
      }
    }
  }

  #startOf(uptime: number | undefined): number {
    return uptime === undefined ? Date.now() : Math.round(Date.now() - (uptimeSeconds() - uptime) * 1000);
  }

  #lost(end: TaskEnd | undefined): ContainerTerminated {
    const message =
      "the job was running, and nothing is left of it: the machine was restarted or its processes were killed from outside";
    this.facts.ended = { reason: "NodeLost", message };
    this.#context.event(this.#pod, "Warning", "NodeLost", message);
    const now = timestamp(end?.endedAtMs ?? Date.now());
    return {
      exitCode: 255,
      reason: "ContainerStatusUnknown",
      message,
      finishedAt: now,
      startedAt: timestamp(this.facts.startedAt),
    };
  }

  /** Another pod has this task, and tells what becomes of it. */
  #taken(): ContainerTerminated {
    const message = "another pod of this machine runs this task";
    this.facts.ended = { reason: takenReason, message };
    const now = timestamp(Date.now());
    return { exitCode: 255, reason: takenReason, message, startedAt: now, finishedAt: now };
  }

  #outOfTime(ending: "timelimit" | "activedeadline"): void {
    const message =
      ending === "timelimit"
        ? "the job was ended at its wall time"
        : "Pod was active on the node longer than the specified deadline";
    this.facts.ended ??= { reason: "DeadlineExceeded", message };
    this.end(ending, 0);
  }

  #terminated(state: ContainerState, run: string, end: TaskEnd): ContainerTerminated {
    if (end.exitCode === undefined && end.setupFailure === undefined) return this.#lost(end);
    if (end.ending === "timelimit" || end.ending === "activedeadline") {
      this.#outOfTime(end.ending);
    }
    if (end.setupFailure !== undefined)
      this.#context.event(this.#pod, "Warning", "FailedCreatePodContainer", end.setupFailure);
    return terminatedBy(
      end,
      this.#openFailure(run, end.exitCode),
      this.#isDriver() ? this.#context.steps.reports(this.#pod, run) : [],
      state.running?.startedAt ?? this.facts.startedAt,
    );
  }

  /** Of the pods of a gang the one that the script runs in tells of its steps. */
  #isDriver(): boolean {
    const attempt = attemptOf(this.#pod);
    return attempt?.podSet === "main" && attempt.index === 0;
  }

  #openFailure(run: string, exitCode: number | undefined): TerminationReport {
    return exitCode === openFailureExitCode ? openFailureOf(join(this.#context.podsDirectory, run, "log")) : {};
  }

  /** The wall time was changed: what runs has it from its beginning. */
  #moveDeadline(): void {
    if (this.#killed !== undefined) return;
    for (const { container, restartCount, running } of [...this.facts.init, ...this.facts.main]) {
      const run = `${this.#pod.metadata.uid}/${container.name}.${restartCount}`;
      if (!this.#active.has(run)) continue;
      const deadline =
        (this.#lease === undefined ? undefined : leaseDeadline(this.#pod)) ??
        deadlineOf(this.#pod, this.facts.startedAt, restartCount === 0 ? running?.startedAt : undefined);
      if (deadline !== undefined) this.#context.tasks.setDeadline(run, deadline, graceOf(this.#pod));
    }
  }
}

class ImageError extends Error {
  override name = "ErrImagePull";
}
