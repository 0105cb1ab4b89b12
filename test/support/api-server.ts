/** The API server as a process of its own, for tests that kill it: `node api-server.ts FOLDER [PORT]`. */
import { startApiServer } from "@berth/apiserver";
import { customResourceDefinitions, defaultObjects } from "@berth/kinds";

await startApiServer({
  dataDirectory: process.argv[2]!,
  port: Number(process.argv[3] ?? 0),
  bootstrapObjects: [...customResourceDefinitions, ...defaultObjects],
});
console.log("ready");
