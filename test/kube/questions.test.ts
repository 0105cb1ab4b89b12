/** Questions and accounting on a real control plane: through its APIService, by its RBAC, from PostgreSQL where there is one. */
import assert from "node:assert/strict";
import { request as httpsRequest } from "node:https";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { createClient, isReason, loadKubeconfig, resources, type AnyObject, type Client } from "@berth/client";
import {
  accountingPath,
  annotations,
  apiVersion,
  explanations,
  nodeViews,
  questionsApiService,
  questionsServiceName,
  queueViews,
  startEstimates,
  systemNamespace,
  workloads,
  type Explanation,
  type QueueView,
  type Workload,
} from "@berth/kinds";
import { PostgresServer, postgresMissing } from "../support/postgres.ts";
import { waitFor } from "../support/waiting.ts";
import { apiServices, person, startBerth, type BerthOnKube } from "./berth.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { startKwok, withoutKwok } from "./kwok.ts";
import { freePort } from "../support/ports.ts";

const services = { group: "", version: "v1", resource: "services", namespaced: true };

describe("questions on a real control plane", { skip: withoutKwok(), timeout: 300_000 }, () => {
  let plane: ControlPlane;
  let berth: BerthOnKube;
  let postgres: PostgresServer | undefined;
  let port: number;
  const namespace = person.name;

  before(async () => {
    plane = await startControlPlane({ scheduler: false, controllerManager: false });
    await startKwok(plane, { nodes: 1, capacity: { cpu: "2", memory: "8Gi", pods: "10" } });
    port = await freePort();
    if (postgresMissing() === undefined) {
      postgres = await PostgresServer.start();
      postgres.database("berth");
    }
    berth = await startBerth(plane, {
      controllers: [
        `--questions=127.0.0.1:${port}`,
        ...(postgres === undefined ? [] : [`--accounting=${postgres.urlWithFile("berth")}`]),
      ],
    });
    // Nobody leads from a Service to this machine here; all else is as it was installed.
    const where = { namespace: systemNamespace };
    await plane.client.delete(services, questionsServiceName, where);
    await plane.client.create<AnyObject>(services, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: questionsServiceName, ...where },
      spec: { type: "ExternalName", externalName: "localhost" },
    } as AnyObject);
    await plane.client.patch(apiServices, questionsApiService, { spec: { service: { port } } });
    await plane.client.create(resources.namespaces, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, annotations: { [annotations.owner]: person.name } },
    });
    await waitFor("the APIService to be available", async () => {
      const { status } = await plane.client.get<AnyObject & Conditions>(apiServices, questionsApiService);
      return (
        status?.conditions?.some(({ type, status: holds }) => type === "Available" && holds === "True") || undefined
      );
    });
  });
  after(async () => {
    await berth?.[Symbol.asyncDispose]();
    await plane?.[Symbol.asyncDispose]();
    await postgres?.remove();
  });

  async function submit(name: string, cpus: number, runSeconds: number): Promise<Workload> {
    const container = { name: "main", image: "none", resources: { requests: { cpu: String(cpus) } } };
    const metadata = { annotations: { [annotations.simulatedRunSeconds]: String(runSeconds) } };
    await plane.client.create(workloads, {
      apiVersion,
      kind: "Workload",
      metadata: { name, namespace },
      spec: {
        user: person.name,
        jobName: name,
        wallTimeSeconds: 600,
        podSets: [
          { name: "main", role: "Driver", count: 1, template: { metadata, spec: { containers: [container] } } },
        ],
      },
    } as unknown as Workload);
    return when(name, ({ status }) => status?.jobId !== undefined);
  }
  const when = (name: string, isSo: (workload: Workload) => boolean): Promise<Workload> =>
    waitFor(`Workload ${name}`, async () => {
      const found = await plane.client.get<Workload>(workloads, name, { namespace });
      return isSo(found) ? found : undefined;
    });
  const said = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await berth.berth(words);
    assert.equal(code, 0, `${words.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  };
  const clientOf = async (user: string, groups: string[] = []): Promise<Client> =>
    createClient(loadKubeconfig({ path: await plane.kubeconfigFor(user, groups) }).connection);
  const refusalOf = async (asked: Promise<unknown>): Promise<string> =>
    asked.then(
      () => "answered",
      (error: { reason?: string; message: string }) => error.reason ?? error.message,
    );

  test("explain, squeue --start, sbatch --test-only and sprio are answered by the leader", async () => {
    const runs = await submit("runs", 2, 3600);
    await when("runs", ({ status }) => status?.phase === "Running");
    const waits = await submit("waits", 2, 1);
    await when("waits", ({ status }) => status?.reason === "Resources");
    const explained = await plane.client.get<Explanation>(explanations, "waits", { namespace });
    assert.equal(explained.status?.reason, "Resources");
    assert.equal(explained.status?.expectedStart?.basis, "Reserved");
    const text = await said("explain", String(waits.status!.jobId));
    assert.match(text, /position/i);
    assert.match(await said("squeue", "--start"), new RegExp(`^ +${waits.status!.jobId} .* kwok-0 `, "m"));
    assert.match(await said("sprio"), new RegExp(`^ +${waits.status!.jobId} `, "m"));
    const asked = await berth.berth(["sbatch", "--test-only", "--time=5", "--cpus-per-task=1", "--wrap=true"]);
    assert.match(asked.stderr, /Job \d+ to start at /);
    const table = await plane.client.request<{ kind: string; rows: unknown[] }>({
      method: "GET",
      path: `/apis/${queueViews.group}/${queueViews.version}/queueviews`,
      accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
    });
    assert.equal(table.kind, "Table");
    assert.equal(table.rows.length, 2);
    assert.equal(
      (await plane.client.listAll<QueueView>(queueViews, { fieldSelector: `spec.jobId=${runs.status!.jobId}` })).items
        .length,
      1,
    );
    assert.equal((await plane.client.listAll(nodeViews)).items.length, 1);
  });

  test("RBAC is obeyed: what a question is about decides who may ask it, and what is told", async () => {
    const [stranger, reader, operator] = [
      await clientOf("eve"),
      await clientOf(person.name),
      await clientOf("olga", ["berth:operators"]),
    ];
    try {
      await plane.client.request({
        method: "POST",
        path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`,
        body: {
          apiVersion: "rbac.authorization.k8s.io/v1",
          kind: "RoleBinding",
          metadata: { name: "berth-user" },
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "berth-user" },
          subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: person.name }],
        },
      });
      const estimate = {
        apiVersion: `${startEstimates.group}/${startEstimates.version}`,
        kind: "StartEstimate",
        metadata: { name: "asked", namespace },
        spec: (await plane.client.get<Workload>(workloads, "waits", { namespace })).spec,
      };
      await waitFor(
        "the new right to hold",
        async () => (await refusalOf(reader.get(explanations, "waits", { namespace }))) === "answered" || undefined,
      );
      assert.equal(await refusalOf(reader.create(startEstimates, estimate as unknown as AnyObject)), "answered");
      assert.equal(await refusalOf(stranger.get(explanations, "waits", { namespace })), "Forbidden");
      assert.equal(await refusalOf(stranger.create(startEstimates, estimate as unknown as AnyObject)), "Forbidden");
      const seen = await stranger.listAll<QueueView>(queueViews);
      assert.deepEqual(
        seen.items.map(({ spec }) => spec.submission),
        [undefined, undefined],
      );
      assert.equal((await operator.listAll<QueueView>(queueViews)).items.length, 2);
      const inquiry = { method: "GET", path: `/apis/${queueViews.group}/${queueViews.version}/inquiries` };
      assert.equal(await refusalOf(plane.client.request(inquiry)), "Forbidden");
      const accounting = { method: "GET", path: accountingPath };
      const other = { ...accounting, query: { user: person.name } };
      assert.equal(await refusalOf(stranger.request(accounting)), "answered");
      assert.equal(await refusalOf(stranger.request(other)), "Forbidden");
      assert.equal(await refusalOf(reader.request(other)), "answered");
      assert.equal(await refusalOf(operator.request(other)), "answered");
    } finally {
      for (const client of [stranger, reader, operator]) client.close();
    }
  });

  test("who does not come through the API server is nobody", async () => {
    const ask = (certificate?: string): Promise<number> =>
      new Promise((resolve, reject) => {
        httpsRequest(
          {
            host: "127.0.0.1",
            port,
            path: `/apis/${queueViews.group}/${queueViews.version}/queueviews`,
            headers: { "X-Remote-User": "admin", "X-Remote-Group": "system:masters" },
            rejectUnauthorized: false,
            ...(certificate === undefined
              ? {}
              : {
                  cert: readFileSync(plane.pki.certificate(certificate)),
                  key: readFileSync(plane.pki.key(certificate)),
                }),
          },
          (response) => {
            response.resume();
            resolve(response.statusCode ?? 0);
          },
        )
          .on("error", reject)
          .end();
      });
    assert.equal(await ask(), 401);
    assert.equal(await ask("user-admin"), 401);
    assert.equal(await ask("front-proxy-client"), 200);
  });

  test("what has ended is told by sacct and berth history", async () => {
    await plane.client.patch(
      workloads,
      "runs",
      {
        metadata: { annotations: { [annotations.cancel]: `${person.name} ${new Date().toISOString()}` } },
      },
      { namespace },
    );
    const ended = await when("waits", ({ status }) => status?.phase === "Succeeded");
    const rows = await said("sacct", "-X", "-n", "-P", "-o", "JobID,JobName,State");
    assert.match(rows, new RegExp(`^${ended.status!.jobId}\\|waits\\|COMPLETED$`, "m"));
    assert.match(rows, /\|runs\|CANCELLED/);
    assert.match(await said("history"), /waits .*Succeeded/);
    if (postgres !== undefined) assert.equal(postgres.sql("berth", "SELECT count(*) FROM attempts"), "2");
  });

  test(
    "PostgreSQL away while jobs end: work goes on, it is told in words, and each row is there once it is back",
    { skip: postgresMissing() ?? false },
    async () => {
      const database = postgres!;
      await database.stop("immediate");
      for (let job = 0; job < 40; job++) await submit(`away-${job}`, 1, 1);
      const told = await waitFor("berth status to tell", async () => {
        const { stdout } = await berth.berth(["status"]);
        return /what has ended waits until it can be recorded.*\n/.exec(stdout)?.[0];
      });
      assert.match(told, /accounting at postgres:\/\/127\.0\.0\.1:\d+\/berth: .*ECONNREFUSED/);
      assert.equal((await berth.berth(["sacct"])).code, 1);
      // More than the writer does at once have ended, and the last of them has still begun.
      const podOf = async (name: string): Promise<AnyObject[]> =>
        (await plane.client.list<AnyObject>(resources.pods, { namespace, labelSelector: `berth.dev/workload=${name}` }))
          .items;
      await waitFor("the last job to have a pod", async () => ((await podOf("away-39")).length > 0 ? true : undefined));
      assert.notEqual(
        (await plane.client.get<Workload>(workloads, "away-0", { namespace })).status?.phase,
        "Succeeded",
      );
      await database.start();
      for (let job = 0; job < 40; job++) await when(`away-${job}`, ({ status }) => status?.phase === "Succeeded");
      assert.equal(database.sql("berth", "SELECT count(*), count(DISTINCT workload_uid) FROM attempts"), "42|42");
      await waitFor("berth status to be quiet", async () =>
        /waits until it can be recorded/.test((await berth.berth(["status"])).stdout) ? undefined : true,
      );
    },
  );

  test("a leader that follows another is the one that is asked", async () => {
    await berth.first.end();
    assert.ok(isUnavailable(await plane.client.list(queueViews, {}).catch((error: unknown) => error)));
    const next = await berth.startControllers();
    await waitFor("the next to lead", () => next.isLeading() || undefined);
    await waitFor("an answer", () => plane.client.list(queueViews, {}).catch(() => undefined));
  });
});

interface Conditions {
  status?: { conditions?: { type: string; status: string }[] };
}

const isUnavailable = (error: unknown): boolean => isReason(error, "ServiceUnavailable");
