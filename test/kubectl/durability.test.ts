/** kill -9 of a real server process under load: what it acknowledged is there afterwards, and nothing else changed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { after, describe, it } from "node:test";
import { ApiServerProcess } from "../support/api-server-process.ts";
import { seededRandom } from "../support/random.ts";

const rounds = 5;
const writers = 8;
const path = "/api/v1/namespaces/default/configmaps";

interface Written {
  /** Value that the server acknowledged last; undefined: acknowledged as deleted, or never there. */
  acknowledged: string | undefined;
  /** A write that was under way at the kill: it may have been done or not. */
  attempted: { value: string | undefined } | undefined;
}

describe("kill -9 of the API server", () => {
  const server = new ApiServerProcess();
  after(() => server[Symbol.asyncDispose]());

  it("keeps every acknowledged write, and the order of resource versions", { timeout: 900_000 }, async () => {
    const random = seededRandom(20261122);
    const model = new Map<string, Written>();
    let highest = 0;
    for (let round = 0; round < rounds; round++) {
      await server.start();
      const config = JSON.parse(readFileSync(server.kubeconfig, "utf8")) as {
        clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
        users: { user: { token: string } }[];
      };
      const { cluster } = config.clusters[0]!;
      const url = new URL(cluster.server);
      const agent = new Agent({ keepAlive: true, ca: Buffer.from(cluster["certificate-authority-data"], "base64") });
      const call = (method: string, at: string, body?: unknown): Promise<{ code: number; text: string }> =>
        new Promise((resolve, reject) => {
          const text = body === undefined ? "" : JSON.stringify(body);
          const outgoing = request(
            {
              host: url.hostname,
              port: url.port,
              path: at,
              method,
              agent,
              headers: {
                authorization: `Bearer ${config.users[0]!.user.token}`,
                "content-type": "application/json",
                "content-length": Buffer.byteLength(text),
              },
            },
            (incoming) => {
              const chunks: Buffer[] = [];
              incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
              incoming.on("error", reject);
              incoming.on("end", () => resolve({ code: incoming.statusCode!, text: Buffer.concat(chunks).toString() }));
            },
          );
          outgoing.on("error", reject);
          outgoing.end(text);
        });

      const listed = JSON.parse((await call("GET", path)).text) as {
        metadata: { resourceVersion: string };
        items: { metadata: { name: string; resourceVersion: string }; data: { v: string } }[];
      };
      assert.ok(Number(listed.metadata.resourceVersion) >= highest, "resource versions went back");
      const found = new Map(listed.items.map((item) => [item.metadata.name, item]));
      for (const [name, written] of model) {
        const value = found.get(name)?.data.v;
        const allowed = [written.acknowledged, ...(written.attempted === undefined ? [] : [written.attempted.value])];
        assert.ok(
          allowed.includes(value),
          `${name}: found ${value}, acknowledged or attempted were ${allowed.join(", ")}`,
        );
        written.acknowledged = value;
        written.attempted = undefined;
      }
      for (const name of found.keys()) assert.ok(model.has(name), `${name} was never written`);

      let acknowledgements = 0;
      const killAfter = 150 + Math.floor(random() * 400);
      let running = true;
      let killed: Promise<void> | undefined;
      const writer = async (index: number): Promise<void> => {
        for (let count = 0; running; count++) {
          const name = `w${index}-${count % 40}`;
          let written = model.get(name);
          if (written === undefined) model.set(name, (written = { acknowledged: undefined, attempted: undefined }));
          const remove = written.acknowledged !== undefined && random() < 0.25;
          const value = remove ? undefined : `${round}.${count}`;
          written.attempted = { value };
          try {
            const object = { metadata: { name }, data: { v: value } };
            const answer = remove
              ? await call("DELETE", `${path}/${name}`)
              : written.acknowledged === undefined
                ? await call("POST", path, object)
                : await call("PUT", `${path}/${name}`, object);
            assert.ok(answer.code < 300, answer.text);
            const body = JSON.parse(answer.text) as { metadata: { resourceVersion?: string } };
            highest = Math.max(highest, Number(body.metadata.resourceVersion ?? 0));
            written.acknowledged = value;
            written.attempted = undefined;
            if (++acknowledgements === killAfter) {
              running = false;
              killed = server.kill();
            }
          } catch (error) {
            if (running) throw error;
            return;
          }
        }
      };
      await Promise.all(Array.from({ length: writers }, (_, index) => writer(index)));
      await killed;
      agent.destroy();
    }
  });
});
