/** The API server as a process of its own, for tests that kill it: `node server-process.ts FOLDER`. */
import { startApiServer } from "@berth/apiserver";

await startApiServer({ dataDirectory: process.argv[2]! });
console.log("ready");
