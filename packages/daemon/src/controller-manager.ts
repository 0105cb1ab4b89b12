/** The controllers as a process of their own, on a cluster that is there already: `main.ts controller-manager`. */
import { type Accounting, isPostgresUrl, openAccountingThread, shownPlace } from "@berth/accounting";
import { type Client, type ConnectionOptions, createClient, inClusterConnection, loadKubeconfig } from "@berth/client";
import { Metrics, runControllers } from "@berth/controllers";
import { openUsers, parseUserSettings, type UserDirectory, type UserSettings } from "@berth/identity";
import { load } from "js-yaml";
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { serveHealth } from "./health-server.ts";
import { openJournal } from "./journal.ts";
import { streamJsonLog } from "./json-log.ts";
import { checkCluster } from "./preflight.ts";
import { messageOf, Refusal } from "./refusal.ts";

/** An API server that is started again is waited for so long before a request fails, and is tried again. */
const retryConnectionSeconds = 60;
const defaultRequestsPerSecond = 2000;

/** Runs until SIGTERM or SIGINT, and then hands over; the process's exit code says whether that was in order. */
export async function controllerManager(words: string[]): Promise<void> {
  const log = streamJsonLog(process.stderr, "controllers");
  const ending = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      // Who asks a second time means it.
      if (ending.signal.aborted) process.exit(1);
      log("info", `${signal}: handing over`);
      ending.abort();
    });
  }
  try {
    await run(optionsOf(words), log, ending.signal);
    log("info", "stopped");
    process.exit(0);
  } catch (error) {
    log("error", messageOf(error), error instanceof Refusal ? {} : { stack: (error as Error).stack });
    process.exit(1);
  }
}

interface Options {
  kubeconfig?: string;
  context?: string;
  users: UserSettings;
  accounting: string;
  listen?: string;
  questions?: string;
  webhook?: string;
  requestsPerSecond: number;
  volcano?: boolean;
}

function optionsOf(words: string[]): Options {
  const { values } = parseArgs({
    args: words,
    options: {
      kubeconfig: { type: "string" },
      context: { type: "string" },
      users: { type: "string" },
      passwd: { type: "string" },
      group: { type: "string" },
      accounting: { type: "string" },
      listen: { type: "string" },
      questions: { type: "string" },
      webhook: { type: "string" },
      "requests-per-second": { type: "string" },
      volcano: { type: "boolean" },
    },
  });
  const { accounting, users, passwd, group, "requests-per-second": rate, ...rest } = values;
  if (accounting === undefined)
    throw new Refusal(
      "--accounting PLACE is missing: a file (SQLite) or postgres://… for the records of jobs that have ended",
    );
  const requestsPerSecond = rate === undefined ? defaultRequestsPerSecond : Number(rate);
  if (!(requestsPerSecond >= 1)) throw new Refusal(`--requests-per-second ${rate}: this must be a number from 1`);
  return {
    ...rest,
    users: userSettings({ users, passwd, group }),
    accounting: isPostgresUrl(accounting) ? accounting : resolve(accounting),
    requestsPerSecond,
  };
}

/** Who is who: by a file of settings, or by its short form for the commonest. */
function userSettings({ users, passwd, group }: { users?: string; passwd?: string; group?: string }): UserSettings {
  if (users !== undefined) {
    if (passwd !== undefined || group !== undefined)
      throw new Refusal("--users FILE says who is who; --passwd and --group are the short form of its source: Files");
    try {
      return parseUserSettings(load(readFileSync(users, "utf8")), dirname(resolve(users)));
    } catch (error) {
      throw new Refusal(`--users ${users}: ${messageOf(error)}`);
    }
  }
  if (passwd !== undefined)
    return { source: "Files", passwdFile: passwd, ...(group === undefined ? {} : { groupFile: group }) };
  if (group !== undefined)
    throw new Refusal("--group FILE goes with --passwd FILE: the first names the groups of the users of the second");
  return { source: "Local" };
}

async function directoryOf(settings: UserSettings, warn: (message: string) => void): Promise<UserDirectory | "Claims"> {
  if (settings.source === "Claims") return "Claims";
  try {
    return await openUsers(settings, warn);
  } catch (error) {
    throw new Refusal(messageOf(error));
  }
}

/** As kubectl finds its cluster, but that a pod's own is meant where nothing is named. */
function connectionOf({ kubeconfig, context }: Options): ConnectionOptions {
  if (kubeconfig === undefined && context === undefined) {
    const own = inClusterConnection();
    if (own !== undefined) return own;
    throw new Refusal("which cluster? name a kubeconfig with --kubeconfig FILE; in a pod its own cluster is meant");
  }
  return loadKubeconfig({
    ...(kubeconfig === undefined ? {} : { path: kubeconfig }),
    ...(context === undefined ? {} : { context }),
  }).connection;
}

/** @throws Refusal in words */
async function accountingAt(place: string): Promise<Accounting> {
  try {
    if (!isPostgresUrl(place)) mkdirSync(dirname(place), { recursive: true, mode: 0o700 });
    return await openAccountingThread(place);
  } catch (error) {
    throw new Refusal(`--accounting ${shownPlace(place)}: ${messageOf(error)}`);
  }
}

/** Its program is loaded only where it is used. */
function questionsOf(listen: string, client: Client, accounting: Accounting, log: ReturnType<typeof streamJsonLog>) {
  return async (signal: AbortSignal): Promise<Client | undefined> => {
    const { serveQuestions } = await import("./questions.ts");
    return serveQuestions({ client, accounting, listen, log }, signal);
  };
}

async function run(options: Options, log: ReturnType<typeof streamJsonLog>, signal: AbortSignal): Promise<void> {
  const metrics = new Metrics();
  const requests = metrics.counter("berth_api_requests_total", "Requests to the API server, by method and code.");
  const seconds = metrics.counter("berth_api_request_seconds_total", "Time until their answers began, by method.");
  const client: Client = createClient({
    ...connectionOf(options),
    retryConnectionSeconds,
    userAgent: "berth-controllers",
    maxConnections: 64,
    maxRequestsPerSecond: options.requestsPerSecond,
    onAnswer: (method, code, milliseconds) => {
      requests({ method, code: String(code) });
      seconds({ method }, milliseconds / 1000);
    },
  });
  const users = await directoryOf(options.users, (message) => log("warn", message));
  await checkCluster(client);
  const accounting = await accountingAt(options.accounting);
  const journal = openJournal(process.env["BERTH_JOURNAL"], log);
  let isLeading = false;
  metrics.gauge("berth_leader", "1 where this process leads.", () => (isLeading ? 1 : 0));
  metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", () => process.memoryUsage.rss());
  metrics.gauge("process_cpu_seconds_total", "CPU time of the process.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  const health =
    options.listen === undefined
      ? undefined
      : await serveHealth({
          listen: options.listen,
          unhealthy: () => undefined,
          // One that waits to lead is ready to.
          unready: () => (signal.aborted ? "this process is handing over" : undefined),
          metrics: () => metrics.text(),
        });
  // Whoever waits to lead can serve it too: its certificate is one of those that the API server trusts.
  if (options.webhook !== undefined) {
    const { serveWebhook } = await import("./webhook.ts");
    await serveWebhook({ client, listen: options.webhook, log, metrics }, signal);
  }
  log("info", "ready", { server: client.server, health: health?.url });
  try {
    await runControllers({
      client,
      accounting,
      users,
      now: Date.now,
      log,
      metrics,
      journal: journal?.write,
      volcano: options.volcano === true,
      ...(options.questions === undefined
        ? {}
        : { questions: questionsOf(options.questions, client, accounting, log) }),
      onReady: () => {
        isLeading = true;
        log("info", "leading");
      },
      onEnd: () => {
        isLeading = false;
        log("info", "leads no more");
      },
      signal,
    });
  } finally {
    health?.close();
    client.close();
    await accounting.close();
    await journal?.close();
  }
}
