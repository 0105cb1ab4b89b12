/**
 * Entry of every command: `main.ts NAME ARGUMENTS…`, where NAME is what the launcher was called by. What a command needs is
 * imported when it is chosen, since the time to start is part of each of them.
 */
import { compileCacheFolder } from "./compile-cache.ts";

// The launcher's variable is for this process; a job's environment is the submitter's own.
if (process.env["NODE_COMPILE_CACHE"] === compileCacheFolder()) delete process.env["NODE_COMPILE_CACHE"];

const [calledAs = "berth", ...words] = process.argv.slice(2);
// A reader that goes away (`| head`) is no error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const { dispatch } = await import("./dispatch.ts");
const exitCode = await dispatch(calledAs, words);
// Idle connections need not be waited for, what was written must be.
process.stderr.write("", () => process.stdout.write("", () => process.exit(exitCode)));
