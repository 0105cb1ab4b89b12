import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  annotations,
  attemptOf,
  defaultGraceSeconds,
  hostImage,
  labels,
  leaseOf,
  openFailureExitCode,
  startAllowanceSeconds,
  takenReason,
} from "@berth/kinds";
import type { Container, ContainerTerminated, Lease, Pod, TaskVariables, TerminationReport } from "@berth/kinds";
import { quantityToInteger, quantityToMilli } from "@berth/machinery";
import type { Claims } from "./claims.ts";
import type { CoreBinding } from "./cores.ts";
import type { Driver } from "./driver.ts";
import { ConfigurationError, containerEnvironment, expandReferences, type ReferencedData } from "./environment.ts";
import { bootId, hostTools, uptimeSeconds, userOf } from "./host.ts";
import { LeaseRun } from "./lease-run.ts";
import { writableRoot, type BindMount } from "./mounts.ts";
import { isFinished, timestamp, type ContainerState, type PodFacts } from "./pod-status.ts";
import type { LauncherSpec } from "./launcher-pool.ts";
import { groupWords, nobody, type Identity } from "./task.ts";
import { isFull, type TaskEnd, type Tasks } from "./tasks.ts";
import { containerMounts, VolumeError, type Volumes } from "./volumes.ts";

/** What the workers of all pods of one node share. */
export interface NodeContext {
  readonly nodeName: string;
  readonly driver: Driver;
  readonly tasks: Tasks;
  readonly volumes: Volumes;
  readonly claims: Claims;
  readonly cores: CoreBinding;
  readonly dataDirectory: string;
  readonly podsDirectory: string;
  readonly limitsMemory: boolean;
  /** Who a pod of this namespace runs as that does not say. Rejects in words where nobody can be. */
  defaultIdentity(namespace: string): Promise<Identity>;
  references(namespace: string): ReferencedData;
  event(pod: Pod, type: "Normal" | "Warning", reason: string, message: string): void;
  /** The facts changed: the status is written, soon or (`now`) at once. */
  changed(worker: PodWorker, urgency: "soon" | "now"): void;
  log(level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>): void;
}

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
    };
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
    this.#lease?.update(pod, this.#grace());
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.end("deleted", pod.metadata.deletionGracePeriodSeconds ?? this.#grace());
    }
  }

  /** Ends all containers: TERM, after the grace KILL. A shorter grace than before counts. */
  end(stage: string, graceSeconds: number): void {
    if (this.#killed !== undefined && this.#killed.graceSeconds <= graceSeconds) return;
    this.#killed = { stage, graceSeconds };
    this.#stop.abort();
    this.#gate.reject(new Error(stage));
    if (this.#lease !== undefined) this.#lease.end(stage, graceSeconds);
    else for (const run of this.#active) this.#context.tasks.end(run, graceSeconds, stage);
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
    const identity = await this.#identity();
    this.#runsAs = identity;
    const owner = this.#context.driver.namespaces === "none" && process.getuid?.() === 0 ? identity : undefined;
    const folders = await this.#withRoom(() => this.#context.volumes.prepare(this.#pod, this.#context.nodeName, owner));
    return { identity, folders };
  }

  async #identity(): Promise<Identity> {
    const { securityContext } = this.#pod.spec;
    const own = this.#pod.spec.containers[0]?.securityContext as
      | { runAsUser?: number; runAsGroup?: number }
      | undefined;
    const asked = own?.runAsUser ?? securityContext?.runAsUser;
    const { namespace = "default" } = this.#pod.metadata;
    const unasked = asked === undefined ? await this.#context.defaultIdentity(namespace) : undefined;
    const uid = asked ?? unasked!.uid;
    const gid = own?.runAsGroup ?? securityContext?.runAsGroup ?? unasked?.gid ?? userOf(uid)?.gid ?? nobody.gid;
    const self = process.getuid?.() ?? 0;
    if (self !== 0 && uid !== self) {
      throw new ConfigurationError(
        `the pod asks for user ${uid}, but this node belongs to user ${self} and can start jobs of that user only`,
      );
    }
    if (self === 0 && (hostTools().setpriv === undefined || hostTools().unshare === undefined)) {
      throw new ConfigurationError(
        "setpriv and unshare of util-linux are not both installed, so that no job can be given its user",
      );
    }
    return { uid, gid, groups: [...new Set(securityContext?.supplementalGroups ?? unasked?.groups ?? [])] };
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
        const leftMs = (this.#deadline()?.uptimeSeconds ?? Infinity) * 1000 - uptimeSeconds() * 1000;
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
    const leaseRun = new LeaseRun(tasks, run, lease, claim.tasks);
    this.#lease = leaseRun;
    this.facts.lease = () => leaseRun.report();
    const wasRestarted = known !== undefined && tasks.record(run)?.bootId !== bootId();
    const close = (): void => claims.release(uid, leaseRun.close(wasRestarted));
    try {
      this.#stop.signal.throwIfAborted();
      let ending: Promise<TaskEnd>;
      if (known !== undefined) ending = new Promise<TaskEnd>((resolve) => tasks.takeBack(run, resolve));
      else if (claim.tasks.length === 0)
        ending = Promise.resolve({ endedAtMs: Date.now(), exitCode: 0, outOfMemory: false });
      else {
        const request = await this.#request(state.container, run, prepared, true);
        this.#stop.signal.throwIfAborted();
        ending = tasks.run({ ...request, claim, lease: { tasks: claim.tasks, seconds: lease.seconds } });
      }
      this.#active.add(run);
      const cores = tasks.record(run)?.cores;
      if (cores !== undefined) this.#context.cores.keep(uid, cores);
      state.running = { startedAt: this.#startOf(known?.startedAt) };
      leaseRun.begun();
      leaseRun.update(this.#pod, this.#grace());
      if (this.#killed !== undefined) leaseRun.end(this.#killed.stage, this.#killed.graceSeconds);
      changed(this, "soon");
      const timer = setInterval(() => {
        if (leaseRun.look()) changed(this, "soon");
      }, leaseReportMs);
      const end = await ending.finally(() => {
        clearInterval(timer);
        this.#active.delete(run);
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
      if (one.exitCode === openFailureExitCode) one.ending ??= this.#openFailure(`${this.#lease!.run}`).failure;
    const exitCode =
      end.setupFailure !== undefined ? 128 : ended.reduce((worst, one) => Math.max(worst, one.exitCode), 0);
    const report: TerminationReport = {
      cpuMilliseconds: ended.reduce((sum, one) => sum + (one.cpuMilliseconds ?? 0), 0),
      peakMemoryBytes: ended.reduce((most, one) => Math.max(most, (one.peakMemoryKibibytes ?? 0) * 1024), 0),
      ...(words === undefined ? {} : { failure: "exec", message: words }),
    };
    return {
      exitCode,
      reason: end.setupFailure !== undefined ? "StartError" : exitCode === 0 ? "Completed" : "Error",
      message: JSON.stringify(report),
      startedAt: timestamp(told?.startedAt ?? state.running?.startedAt ?? this.facts.startedAt),
      finishedAt: timestamp(end.endedAtMs),
    };
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
    this.#stop.signal.throwIfAborted();
    const task = attemptOf(this.#pod)?.task;
    const claim = task === undefined ? undefined : this.#context.claims.take(this.#pod, [task]);
    if (claim?.tasks.length === 0) return this.#taken();
    if (known !== undefined)
      return this.#follow(state, run, known.startedAt, new Promise<TaskEnd>((resolve) => tasks.takeBack(run, resolve)));
    return this.#withRoom(async () => {
      const request = await this.#request(state.container, run, prepared);
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
    this.#active.add(run);
    const record = tasks.record(run);
    if (record?.cores !== undefined) this.#context.cores.keep(this.#pod.metadata.uid!, record.cores);
    state.running = { startedAt: this.#startOf(startedAt) };
    // The wall time may have been changed while no agent looked.
    if (startedAt !== undefined) this.#moveDeadline();
    if (this.#killed !== undefined) tasks.end(run, this.#killed.graceSeconds, this.#killed.stage);
    this.#context.changed(this, "soon");
    const end = await ending.finally(() => this.#active.delete(run));
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
    const exitCode = end.exitCode ?? 128;
    const report: TerminationReport = {
      cpuMilliseconds: end.cpuMilliseconds,
      ...(end.startedAtMs === undefined ? {} : { runMilliseconds: Math.max(0, end.endedAtMs - end.startedAtMs) }),
      peakMemoryBytes: end.peakMemoryBytes,
      ...(end.setupFailure === undefined ? {} : { failure: "exec", message: end.setupFailure }),
      ...(exitCode === openFailureExitCode ? this.#openFailure(run) : {}),
    };
    const reason = end.outOfMemory
      ? "OOMKilled"
      : end.setupFailure !== undefined
        ? "StartError"
        : exitCode === 0
          ? "Completed"
          : "Error";
    return {
      // An out-of-memory kill is a failure also where the script went on and ended well.
      exitCode: end.outOfMemory && exitCode === 0 ? 137 : exitCode,
      ...(end.signal === undefined ? {} : { signal: end.signal }),
      reason,
      message: JSON.stringify(report),
      startedAt: timestamp(end.startedAtMs ?? state.running?.startedAt ?? this.facts.startedAt),
      finishedAt: timestamp(end.endedAtMs),
    };
  }

  /** What the wrapper said when it could not open a file; see docs/runtime.md. */
  #openFailure(run: string): TerminationReport {
    try {
      const log = readFileSync(join(this.#context.podsDirectory, run, "log"), "utf8");
      const found = /^berth: error: (could not open the (output|input) file .*)$/m.exec(log);
      return found === null ? {} : { failure: found[2], message: found[1] };
    } catch {
      return {};
    }
  }

  async #request(
    container: Container,
    run: string,
    prepared: Prepared,
    isLease = false,
  ): Promise<Parameters<Tasks["run"]>[0]> {
    const context = this.#context;
    const pod = this.#pod;
    const namespace = pod.metadata.namespace ?? "default";
    const stated = await containerEnvironment(pod, container, context.nodeName, context.references(namespace));
    const user = userOf(prepared.identity.uid);
    let environment: Record<string, string> = {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: user?.home ?? "/",
      ...(user === undefined ? {} : { USER: user.name, LOGNAME: user.name, SHELL: user.shell }),
      HOSTNAME: context.nodeName,
      ...stated,
      BERTH_POD_UID: pod.metadata.uid!,
      BERTH_INIT: "1",
      BERTH_TERMINATION_LOG: "/dev/null",
    };
    let command = [...(container.command ?? []), ...(container.args ?? [])].map((word) =>
      expandReferences(word, environment),
    );
    if (command.length === 0)
      throw new ConfigurationError(
        `container "${container.name}": image "${hostImage}" has no command of its own; give one`,
      );
    let mounts = containerMounts(container, prepared.folders);
    let workingDirectory = container.workingDir ?? "/";
    if (context.driver.namespaces === "none") {
      const rewrite = (text: string): string => rewritePaths(text, mounts);
      environment = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, rewrite(value)]));
      command = command.map(rewrite);
      workingDirectory = rewrite(workingDirectory);
      const submission = mounts.find(({ target }) => target === "/berth");
      if (submission !== undefined) environment["BERTH_SUBMISSION"] = submission.source;
      mounts = [];
    }
    const ownDirectories = [user?.home, container.workingDir, stated["BERTH_CHDIR"], ...outputDirectories(stated)];
    const sandboxed = context.driver.namespaces !== "none";
    const writable = ownDirectories.flatMap((path) =>
      !sandboxed || path === undefined || path === "" ? [] : (writableRoot(path) ?? []),
    );
    const milli = quantityToMilli(container.resources?.limits?.["cpu"] ?? container.resources?.requests?.["cpu"] ?? 0);
    const memory = container.resources?.limits?.["memory"];
    const memoryBytes = memory === undefined ? undefined : quantityToInteger(memory);
    if (memoryBytes !== undefined && !context.limitsMemory) {
      context.event(
        pod,
        "Warning",
        "MemoryLimitNotEnforced",
        "this node cannot limit memory; the pod runs without a limit",
      );
    }
    const each = isLease ? eachOf(pod) : undefined;
    for (const name of Object.keys(each?.variables ?? {})) delete environment[name];
    const wall = pod.metadata.annotations?.[annotations.wallTimeSeconds];
    const errorPath = stated["BERTH_ERROR"] || stated["BERTH_OUTPUT"];
    // Of all pods of a job the first one says what happened to it.
    const { [labels.podSet]: podSet = "main", [labels.podIndex]: index = "0" } = pod.metadata.labels ?? {};
    const jobId = podSet === "main" && index === "0" ? pod.metadata.labels?.[labels.jobId] : undefined;
    const asOther = process.getuid?.() === 0;
    const launcher = context.driver.launcher(context.nodeName, {
      writable: [...new Set(writable)].sort(),
      volumes: mounts,
      hidden: [context.dataDirectory],
    });
    return {
      run,
      launcher: asOther ? withGroups(launcher, prepared.identity) : launcher,
      plan: {
        command,
        environment,
        workingDirectory,
        identity: asOther ? prepared.identity : undefined,
        namespaces: context.driver.namespaces,
        notice:
          errorPath === undefined || jobId === undefined
            ? undefined
            : { jobId: Number(jobId), node: context.nodeName, path: errorPath },
        each,
      },
      memoryBytes,
      cores: context.cores.take(pod.metadata.uid!, milli, coresGiven(pod)),
      nodeCores: context.cores.all,
      deadline:
        isLease && wall !== undefined
          ? { uptimeSeconds: `+${Math.ceil(Number(wall))}`, stage: "timelimit" }
          : this.#deadline(run.endsWith(".0") ? Date.now() : undefined),
      graceSeconds: this.#grace(),
    };
  }

  /**
   * The wall time counts from `begunAt`, of gangs from the opening of the gate, of containers that are started again from the pod's start,
   * as activeDeadlineSeconds does.
   */
  #deadline(begunAt?: number): { uptimeSeconds: number; stage: string } | undefined {
    const wall = this.#pod.metadata.annotations?.[annotations.wallTimeSeconds];
    const opened = this.#pod.metadata.annotations?.[annotations.gateOpenedAt];
    const active = this.#activeSeconds(wall);
    const uptime = uptimeSeconds();
    const now = Date.now();
    const found: { uptimeSeconds: number; stage: string }[] = [];
    if (wall !== undefined) {
      const begun = opened !== undefined ? Date.parse(opened) : (begunAt ?? this.facts.startedAt);
      const since = Math.max(0, (now - begun) / 1000);
      found.push({ uptimeSeconds: Math.ceil(uptime + Number(wall) - since), stage: "timelimit" });
    }
    if (active !== undefined) {
      const since = (now - this.facts.startedAt) / 1000;
      found.push({ uptimeSeconds: Math.ceil(uptime + active - since), stage: "activedeadline" });
    }
    return found.sort((a, b) => a.uptimeSeconds - b.uptimeSeconds)[0];
  }

  /** activeDeadlineSeconds stands behind the wall time; where that was made longer, which the former cannot be, it moves on with it. */
  #activeSeconds(wall: string | undefined): number | undefined {
    const stated = this.#pod.spec.activeDeadlineSeconds;
    const isAttempt = wall !== undefined && this.#pod.metadata.labels?.[labels.attempt] !== undefined;
    return stated === undefined || !isAttempt
      ? stated
      : Math.max(stated, startAllowanceSeconds + Number(wall) + this.#grace());
  }

  /** The wall time was changed: what runs has it from its beginning. */
  #moveDeadline(): void {
    if (this.#killed !== undefined) return;
    const wall = this.#pod.metadata.annotations?.[annotations.wallTimeSeconds];
    for (const { container, restartCount, running } of [...this.facts.init, ...this.facts.main]) {
      const run = `${this.#pod.metadata.uid}/${container.name}.${restartCount}`;
      if (!this.#active.has(run)) continue;
      const deadline =
        this.#lease !== undefined && wall !== undefined
          ? ({ uptimeSeconds: `+${Math.ceil(Number(wall))}`, stage: "timelimit" } as const)
          : this.#deadline(restartCount === 0 ? running?.startedAt : undefined);
      if (deadline !== undefined) this.#context.tasks.setDeadline(run, deadline, this.#grace());
    }
  }

  #grace(): number {
    return this.#pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds;
  }
}

/** What differs from task to task; the pod's own labels and environment are those of its first. */
function eachOf(pod: Pod): { variables: TaskVariables; firstJobId: number } {
  const { annotations: stated, labels: has } = pod.metadata;
  const text = stated?.[annotations.taskVariables];
  return {
    variables: text === undefined ? {} : (JSON.parse(text) as TaskVariables),
    firstJobId: Number(has?.[labels.jobId] ?? 0) - Number(has?.[labels.task] ?? 0),
  };
}

interface Prepared {
  identity: Identity;
  folders: Map<string, string>;
}

function withGroups({ key, wrapping }: LauncherSpec, identity: Identity): LauncherSpec {
  const words = [...groupWords(identity, hostTools()), "--"];
  return { key: `${words.join(" ")}\0${key}`, wrapping: [...words, ...wrapping] };
}

class ImageError extends Error {
  override name = "ErrImagePull";
}

function outputDirectories(environment: Record<string, string>): string[] {
  return [environment["BERTH_OUTPUT"], environment["BERTH_ERROR"]]
    .filter((path) => path !== undefined && path.startsWith("/"))
    .map((path) => path!.slice(0, path!.lastIndexOf("/")) || "/");
}

/** Without a mount namespace a volume has another path: it is written where a word is, or begins with, the mount's path. */
function rewritePaths(text: string, mounts: BindMount[]): string {
  for (const { source, target } of mounts) {
    if (text === target || text.startsWith(`${target}/`)) return source + text.slice(target.length);
  }
  return text;
}

/** Cores that the scheduler chose for a pod. */
function coresGiven(pod: Pod): number[] | undefined {
  const text = pod.metadata.annotations?.[annotations.grant];
  if (text === undefined) return undefined;
  try {
    const { cores } = JSON.parse(text) as { cores?: unknown };
    return Array.isArray(cores) && cores.every((core) => Number.isInteger(core)) ? (cores as number[]) : undefined;
  } catch {
    return undefined;
  }
}
