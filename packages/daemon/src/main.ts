/**
 * Entry of Berth's long-lived processes: `main.ts --data DIR … supervisor` starts a cluster, and the supervisor starts
 * `main.ts --data DIR ROLE` for each of its processes.
 */
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string" },
    port: { type: "string" },
    nodes: { type: "string", default: "1" },
    "simulated-nodes": { type: "string", default: "0" },
    driver: { type: "string" },
    "current-file": { type: "string" },
  },
});
const [role] = positionals;
const { data } = values;
if (data === undefined || positionals.length !== 1) {
  process.stderr.write("usage: main.ts --data DIR supervisor|apiserver|controllers|node\n");
  process.exit(2);
}
if (role === "supervisor") {
  const { superviseFromCommandLine } = await import("./supervise.ts");
  await superviseFromCommandLine({ ...values, data }, import.meta.filename);
} else {
  const { runChild } = await import("./child.ts");
  if (role === "apiserver")
    await runChild("apiserver", data, async () => (await import("./apiserver-role.ts")).runApiserver);
  else if (role === "controllers")
    await runChild("controllers", data, async () => (await import("./controllers-role.ts")).runControllers);
  else if (role === "node") await runChild("node", data, async () => (await import("./node-role.ts")).runNode);
  else {
    process.stderr.write(`there is no process "${role}"; there are supervisor, apiserver, controllers, node\n`);
    process.exit(2);
  }
}
