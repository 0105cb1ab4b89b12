/** A plain HTTPS client for the tests of this package: what goes over the wire, and nothing that hides it. */
import { readFileSync } from "node:fs";
import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent, request } from "node:https";

export interface Answer {
  code: number;
  headers: IncomingMessage["headers"];
  text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into any object
  body: any;
}

export class HttpsClient {
  private readonly url: URL;
  private readonly agent: Agent;
  private readonly token: string;

  /** From a kubeconfig that the server wrote. */
  constructor(kubeconfigPath: string) {
    const config = JSON.parse(readFileSync(kubeconfigPath, "utf8")) as {
      clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
      users: { user: { token: string } }[];
    };
    const { cluster } = config.clusters[0]!;
    this.url = new URL(cluster.server);
    this.token = config.users[0]!.user.token;
    this.agent = new Agent({ keepAlive: true, ca: Buffer.from(cluster["certificate-authority-data"], "base64") });
  }

  open(method: string, path: string, headers: Record<string, string> = {}): ClientRequest {
    return request({
      host: this.url.hostname,
      port: this.url.port,
      path,
      method,
      agent: this.agent,
      headers: { authorization: `Bearer ${this.token}`, ...headers },
    });
  }

  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
      const outgoing = this.open(method, path, {
        ...(text === undefined
          ? {}
          : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
        ...headers,
      });
      outgoing.on("error", reject);
      outgoing.on("response", (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const answer = Buffer.concat(chunks).toString("utf8");
          let parsed: unknown;
          try {
            parsed = JSON.parse(answer);
          } catch {
            parsed = undefined;
          }
          resolve({ code: incoming.statusCode ?? 0, headers: incoming.headers, text: answer, body: parsed });
        });
      });
      outgoing.end(text);
    });
  }

  /** Opens a watch; `next` gives its events one by one, `undefined` at its end. */
  watch(path: string, headers: Record<string, string> = {}): Watch {
    return new Watch(this.open("GET", path, headers));
  }

  close(): void {
    this.agent.destroy();
  }
}

// oxlint-disable-next-line typescript/no-explicit-any -- tests look into any object
export type WatchEvent = { type: string; object: any };

export class Watch {
  private readonly outgoing: ClientRequest;
  private readonly events: WatchEvent[] = [];
  private waiting: ((event: WatchEvent | undefined) => void)[] = [];
  private ended = false;
  /** Resolves with the status code when the headers are here, before any event. */
  readonly opened: Promise<number>;

  constructor(outgoing: ClientRequest) {
    this.outgoing = outgoing;
    this.opened = new Promise((resolve, reject) => {
      outgoing.on("error", reject);
      outgoing.on("response", (incoming) => {
        resolve(incoming.statusCode ?? 0);
        let rest = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => {
          const lines = (rest + chunk).split("\n");
          rest = lines.pop()!;
          for (const line of lines) this.push(JSON.parse(line) as WatchEvent);
        });
        incoming.on("close", () => this.end());
        incoming.on("error", () => this.end());
      });
    });
    outgoing.end();
  }

  private push(event: WatchEvent): void {
    const waiting = this.waiting.shift();
    if (waiting === undefined) this.events.push(event);
    else waiting(event);
  }

  private end(): void {
    this.ended = true;
    for (const waiting of this.waiting) waiting(undefined);
    this.waiting = [];
  }

  next(): Promise<WatchEvent | undefined> {
    const event = this.events.shift();
    if (event !== undefined || this.ended) return Promise.resolve(event);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  stop(): void {
    this.outgoing.destroy();
  }
}
