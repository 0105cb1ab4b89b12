/** What a process tells of itself by HTTP: /healthz, /readyz and /metrics. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf, Refusal } from "./refusal.ts";

export interface HealthOptions {
  /** `HOST:PORT`; port 0 takes a free one. */
  listen: string;
  /** What is wrong, in words; undefined: nothing. A process that is not healthy is started again by who looks after it. */
  unhealthy: () => string | undefined;
  /** Why it cannot do its work now; undefined: it can. */
  unready: () => string | undefined;
  metrics: () => string;
}

/** Listens; throws a {@link Refusal} in words where it cannot. */
export async function serveHealth(options: HealthOptions): Promise<{ url: string; close(): void }> {
  const found = /^(.*):(\d{1,5})$/.exec(options.listen);
  if (found === null) throw new Refusal(`--listen ${options.listen}: this must be HOST:PORT, such as 0.0.0.0:9440`);
  const host = found[1]!.replace(/^\[(.*)\]$/, "$1") || "0.0.0.0";
  const server = createServer((request, response) => {
    const path = (request.url ?? "/").split("?")[0];
    const say = (problem: string | undefined): void => {
      response.writeHead(problem === undefined ? 200 : 503, { "Content-Type": "text/plain" });
      response.end(`${problem ?? "ok"}\n`);
    };
    if (path === "/healthz" || path === "/livez") say(options.unhealthy());
    else if (path === "/readyz") say(options.unready());
    else if (path === "/metrics") {
      response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
      response.end(options.metrics());
    } else {
      response.writeHead(404, { "Content-Type": "text/plain" });
      response.end("there are /healthz, /readyz and /metrics\n");
    }
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (error) => reject(new Refusal(`--listen ${options.listen}: ${messageOf(error)}`)));
  server.listen(Number(found[2]), host, resolve);
  await promise;
  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
