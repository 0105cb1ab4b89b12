/**
 * Entry of Berth's long-lived processes: `main.ts --data DIR … supervisor` starts a cluster, and the supervisor starts
 * `main.ts --data DIR ROLE` for each of its processes. `main.ts controller-manager …` runs the controllers alone, on any cluster.
 */
import { parseArgs } from "node:util";

if (process.argv[2] === "controller-manager") {
  const { controllerManager } = await import("./controller-manager.ts");
  await controllerManager(process.argv.slice(3));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string" },
    port: { type: "string" },
    nodes: { type: "string", default: "1" },
    "simulated-nodes": { type: "string", default: "0" },
    "cpus-per-node": { type: "string" },
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
  const { loadPrograms, programs } = await import("./part-programs.ts");
  if (role === "apiserver" || role === "controllers" || role === "node") {
    const { runChild } = await import("./child.ts");
    await runChild(role, data, programs[role]);
  } else if (role === "prepare") await loadPrograms();
  else {
    process.stderr.write(`there is no process "${role}"; there are supervisor, apiserver, controllers, node\n`);
    process.exit(2);
  }
}
