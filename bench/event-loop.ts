/**
 * How long the API server's event loop is held: `node bench/event-loop.ts [--objects 5000] [--watchers 50] [--profile FOLDER]`.
 *
 * A server of its own, loaded in steps; of each step the time between two turns of its loop in CPU milliseconds of its thread, and the
 * longest garbage collection. `--profile` leaves a CPU profile of the server.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient, loadKubeconfig, resources } from "@berth/client";
import { workloads, type Workload } from "@berth/kinds";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "5000" },
    watchers: { type: "string", default: "50" },
    profile: { type: "string" },
  },
});
const objects = Number(values.objects);
const watchers = Number(values.watchers);
const folder = mkdtempSync(join(tmpdir(), "berth-event-loop-"));

const server: ChildProcess = fork(join(import.meta.dirname, "../test/support/api-server.ts"), [folder], {
  execArgv: [
    "--disable-warning=ExperimentalWarning",
    `--import=${join(import.meta.dirname, "event-loop-monitor.ts")}`,
    ...(values.profile === undefined
      ? []
      : ["--cpu-prof", "--cpu-prof-interval=200", `--cpu-prof-dir=${values.profile}`]),
  ],
  stdio: ["ignore", "pipe", "inherit", "ipc"],
});
await once(server.stdout!, "data");
const { connection } = loadKubeconfig({ path: join(folder, "admin.kubeconfig") });
const client = createClient({ ...connection, maxConnections: 256 });

async function figures(): Promise<object> {
  server.send("figures");
  const [told] = (await once(server, "message")) as [object];
  return told;
}

async function step(name: string, run: () => Promise<unknown>): Promise<void> {
  await pause(200);
  await figures();
  const began = performance.now();
  await run();
  await pause(50);
  console.log(
    JSON.stringify({
      step: name,
      ...(await figures()),
      seconds: Number(((performance.now() - began) / 1000).toFixed(1)),
    }),
  );
}

/** So many at a time, in order of their numbers. */
async function each(count: number, run: (index: number) => Promise<unknown>, width = 16): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await run(next++);
    }),
  );
}

const namespace = "default";
const name = (index: number): string => `job-${index}`;
function workload(index: number): Workload {
  return {
    apiVersion: "berth.dev/v1alpha1",
    kind: "Workload",
    metadata: { name: name(index), namespace, labels: { part: String(index % 10) } },
    spec: {
      user: "ada",
      queue: "standard",
      account: "default",
      wallTimeSeconds: 3600,
      submission: { secretName: name(index), workingDirectory: "/home/ada", command: "job.sh" },
      podSets: [
        {
          name: "main",
          role: "Driver",
          count: 1,
          template: {
            spec: {
              restartPolicy: "Never",
              containers: [
                {
                  name: "main",
                  image: "host",
                  command: ["/bin/sh", "/berth/run"],
                  env: Array.from({ length: 30 }, (_, at) => ({ name: `SLURM_${at}`, value: `value ${at}` })),
                  resources: { requests: { cpu: "1", memory: "64Mi" } },
                },
              ],
            },
          },
        },
      ],
    },
  } as unknown as Workload;
}

const path = `/apis/berth.dev/v1alpha1/namespaces/${namespace}/workloads`;
const get = (at: string, query: Record<string, string> = {}, accept?: string): Promise<unknown> =>
  client.request({ method: "GET", path: at, query, ...(accept === undefined ? {} : { accept }) });
const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
const metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const stop = new AbortController();
let heard = 0;

try {
  await step("first discovery and OpenAPI documents", async () => {
    await get("/apis");
    await get("/openapi/v3");
    await get("/openapi/v3/api/v1");
    await get("/openapi/v3/apis/berth.dev/v1alpha1");
  });
  await step(`${objects} Workloads are created`, () => each(objects, (at) => client.create(workloads, workload(at))));
  await step("lists of all, one after the other", async () => {
    for (let count = 0; count < 5; count++) await get(path);
  });
  await step("eight lists of all at once", () => Promise.all(Array.from({ length: 8 }, () => get(path))));
  await step("lists as tables", async () => {
    for (let count = 0; count < 3; count++) await get(path, {}, table);
  });
  await step("lists of metadata", async () => {
    for (let count = 0; count < 3; count++) await get(path, {}, metadata);
  });
  await step("lists by label and by field", async () => {
    for (let count = 0; count < 3; count++) {
      await get(path, { labelSelector: "part in (1,2,3)" });
      await get(path, { fieldSelector: "metadata.name!=job-7" });
    }
  });
  await step("pages of 500", async () => {
    let token = "";
    do {
      const list = (await get(path, { limit: "500", ...(token === "" ? {} : { continue: token }) })) as {
        metadata: { continue?: string };
      };
      token = list.metadata.continue ?? "";
    } while (token !== "");
  });
  await step(`${watchers} watches begin with all objects`, async () => {
    let begun = 0;
    for (let count = 0; count < watchers; count++) {
      void client
        .watch(
          workloads,
          {
            namespace,
            sendInitialEvents: true,
            resourceVersionMatch: "NotOlderThan",
            allowWatchBookmarks: true,
            signal: stop.signal,
          },
          ({ type }) => {
            heard++;
            if (type === "BOOKMARK") begun++;
          },
        )
        .catch(() => undefined);
    }
    while (begun < watchers) await pause(50);
  });
  await step("their status is written, all watches hear of it", async () => {
    heard = 0;
    const times = 2;
    for (let time = 0; time < times; time++)
      await each(objects, (at) =>
        client.patchStatus(
          workloads,
          name(at),
          { status: { phase: time === 0 ? "Starting" : "Running", jobId: at + 1, message: "it runs" } },
          { namespace },
        ),
      );
    while (heard < objects * watchers * times) await pause(50);
  });
  await step("256 writes at once, again and again", () =>
    each(
      objects,
      (at) => client.patchStatus(workloads, name(at), { status: { message: "it runs on" } }, { namespace }),
      256,
    ),
  );
  await step("specs are applied (server side)", () =>
    each(Math.min(objects, 1000), (at) =>
      client.request({
        method: "PATCH",
        path: `${path}/${name(at)}`,
        query: { fieldManager: "bench", force: true },
        contentType: "application/apply-patch+yaml",
        body: {
          apiVersion: "berth.dev/v1alpha1",
          kind: "Workload",
          metadata: { name: name(at) },
          spec: { nice: at % 100 },
        },
      }),
    ),
  );
  stop.abort();
  await step("secrets of 1 MiB", async () => {
    for (let count = 0; count < 10; count++)
      await client.create(resources.secrets, {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: `large-${count}`, namespace },
        data: { script: Buffer.alloc(750_000, "script ").toString("base64") },
      });
  });
  await step("a status with lists of 200 KB", async () => {
    const pending = Array.from({ length: 35_000 }, (_, at) => at * 2).join(",");
    for (let count = 0; count < 5; count++)
      await client.patchStatus(
        workloads,
        name(count),
        { status: { array: { pending, running: "", succeeded: "", failed: "" } } },
        { namespace },
      );
  });
  await step("all are deleted", () => client.request({ method: "DELETE", path }));
} finally {
  stop.abort();
  client.close();
  server.send("end");
  await once(server, "exit");
  rmSync(folder, { recursive: true, force: true });
}
