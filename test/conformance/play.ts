/** Plays a script to one server and keeps all that it answers. */
import { createClient, loadKubeconfig } from "@berth/client";
import https from "node:https";
import { setTimeout as pause } from "node:timers/promises";
import type { Ask, Script, Step } from "./script.ts";

/** What one step gave: one answer, or the events of a watch. */
export interface Answer {
  step: string;
  given: unknown;
}

interface Connection {
  ask(ask: Ask): Promise<{ code: number; type: string; warnings: string[]; body: unknown }>;
  watch(path: string, accept: string | undefined): Stream;
  close(): void;
}

interface Stream {
  events: unknown[];
  end(): void;
}

export async function play(kubeconfig: string, scripts: Script[]): Promise<Map<string, Answer[]>> {
  const client = createClient(loadKubeconfig({ path: kubeconfig }).connection);
  const connection = connect(kubeconfig);
  const answers = new Map<string, Answer[]>();
  try {
    for (const script of scripts) {
      const namespace = `conformance-${script.name}`;
      await client.request({
        method: "POST",
        path: "/api/v1/namespaces",
        body: { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
      });
      answers.set(script.name, await playScript(connection, script, namespace));
    }
  } finally {
    connection.close();
    client.close();
  }
  return answers;
}

async function playScript(connection: Connection, script: Script, namespace: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  const saved: Record<string, unknown> = {};
  const streams = new Map<string, Stream>();
  const names = new Map<string, number>();
  const fill = <T>(value: T): T => filled(value, namespace, saved);
  try {
    for (const step of script.steps) {
      if ("watch" in step) {
        streams.set(step.watch, connection.watch(fill(step.path), step.accept));
        // So that it is open before the next request is sent.
        await pause(150);
      } else if ("unwatch" in step) {
        const stream = streams.get(step.unwatch)!;
        for (let waited = 0; stream.events.length < step.events && waited < 200; waited++) await pause(50);
        await pause(500);
        stream.end();
        answers.push({ step: `watch ${step.unwatch}`, given: { events: stream.events } });
      } else if ("wait" in step) {
        const given = { comes: await comes(connection, fill(step.wait), step.until) };
        answers.push({ step: `wait ${step.wait}`, given });
      } else {
        const answer = await connection.ask(fill(step));
        if (step.save !== undefined) saved[step.save] = answer.body;
        const name = stepName(step);
        const before = names.get(name) ?? 0;
        names.set(name, before + 1);
        answers.push({ step: before === 0 ? name : `${name} (${before + 1})`, given: answer });
      }
    }
  } finally {
    for (const stream of streams.values()) stream.end();
  }
  return answers;
}

const formats: Record<string, string> = {
  "application/json-patch+json": " json",
  "application/merge-patch+json": " merge",
  "application/strategic-merge-patch+json": " strategic",
  "application/apply-patch+yaml": " apply",
};

function stepName(ask: Ask): string {
  const path = ask.path.replace(/^\/apis?\//, "").replace("namespaces/$ns/", "");
  const as = /as=(\w+)/.exec(ask.accept ?? "")?.[1];
  const format = ask.method === "PATCH" ? (formats[ask.contentType ?? ""] ?? "") : "";
  return `${ask.method}${format} ${path}${as === undefined ? "" : ` as ${as}`}`;
}

function filled<T>(value: T, namespace: string, saved: Record<string, unknown>): T {
  const text = JSON.stringify(value).replaceAll("$ns", namespace);
  return JSON.parse(
    text.replace(/\$\{([^}]+)\}/g, (_, path: string) => {
      let found: unknown = saved;
      for (const key of path.split(".")) found = (found as Record<string, unknown> | undefined)?.[key];
      return String(found);
    }),
  ) as T;
}

async function comes(
  connection: Connection,
  path: string,
  until: Extract<Step, { wait: string }>["until"],
): Promise<boolean> {
  for (let tries = 0; tries < 400; tries++) {
    const { code, body } = await connection.ask({ method: "GET", path });
    if (until === "gone" ? code === 404 : JSON.stringify(body).includes(until.has)) return true;
    await pause(50);
  }
  return false;
}

function bodyOf({ body }: Ask): string | undefined {
  return body === undefined || typeof body === "string" ? body : JSON.stringify(body);
}

/** The answer to a watch is one document a line. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as unknown]));
  }
}

function connect(kubeconfig: string): Connection {
  const { connection } = loadKubeconfig({ path: kubeconfig });
  const server = new URL(connection.server);
  const agent = new https.Agent({ keepAlive: true, ca: connection.ca, cert: connection.cert, key: connection.key });
  const headers = {
    "User-Agent": "conformance/1",
    ...(connection.token === undefined ? {} : { Authorization: `Bearer ${connection.token}` }),
  };
  const request = (ask: Ask): https.RequestOptions => ({
    host: server.hostname,
    port: server.port,
    agent,
    method: ask.method,
    path: ask.path,
    headers: {
      ...headers,
      Accept: ask.accept ?? "application/json",
      ...(ask.body === undefined
        ? {}
        : {
            "Content-Type": ask.contentType ?? "application/json",
            // Node leaves it out of a DELETE.
            "Content-Length": Buffer.byteLength(bodyOf(ask)!),
          }),
    },
  });
  return {
    ask: (ask) =>
      new Promise((resolve, reject) => {
        const outgoing = https.request(request(ask), (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const type = (response.headers["content-type"] ?? "").split(";")[0]!;
            const text = Buffer.concat(chunks).toString("utf8");
            // Node joins several headers of one name by a comma.
            const warnings = [...String(response.headers["warning"] ?? "").matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(
              (one) => one[1]!.replaceAll('\\"', '"'),
            );
            const body: unknown = type === "application/json" ? parsed(text) : text;
            resolve({ code: response.statusCode ?? 0, type, warnings, body });
          });
        });
        outgoing.on("error", reject);
        outgoing.end(bodyOf(ask));
      }),
    watch(path, accept) {
      const events: unknown[] = [];
      const outgoing = https.request(request({ method: "GET", path, accept }), (response) => {
        let rest = "";
        response.setEncoding("utf8");
        response.on("data", (text: string) => {
          const lines = (rest + text).split("\n");
          rest = lines.pop()!;
          for (const line of lines) if (line.trim() !== "") events.push(JSON.parse(line));
        });
        response.on("error", () => {});
      });
      outgoing.on("error", () => {});
      outgoing.end();
      return { events, end: () => outgoing.destroy() };
    },
    close: () => agent.destroy(),
  };
}
