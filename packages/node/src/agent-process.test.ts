/** Not a test: the node agent as a process of its own, so that tests can kill it. Started with IPC and `--agent JSON`. */
import { createClient } from "@berth/client";
import type { ConnectionOptions } from "@berth/client";
import { startNodeAgent, type NodeAgentOptions } from "./index.ts";

const marker = process.argv.indexOf("--agent");
if (marker !== -1) {
  const { connection, ...options } = JSON.parse(process.argv[marker + 1]!) as {
    connection: ConnectionOptions;
  } & Pick<NodeAgentOptions, "dataDirectory" | "nodes" | "endpoint">;
  const stop = new AbortController();
  process.on("disconnect", () => stop.abort());
  const client = createClient({ ...connection, ca: connection.ca?.toString() });
  const agent = await startNodeAgent({ client, ...options, signal: stop.signal });
  process.send!({ driver: agent.driver, capabilities: agent.capabilities });
  await agent.done;
  client.close();
}
