/** Writes the image of Berth's controllers: `npm run image -- --output berth.tar [--name localhost/berth:VERSION]`. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeImage } from "./image.ts";

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8")) as {
  version: string;
};
const { values } = parseArgs({
  options: {
    output: { type: "string", default: "berth.tar" },
    name: { type: "string", default: `localhost/berth:${version}` },
  },
});
try {
  writeImage(values);
  const megabytes = Math.round(statSync(values.output).size / 1e6);
  console.log(`${values.output}: image ${values.name}, ${megabytes} MB`);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
