/** Every file and heading of this repository that a page links to is there. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";

const repository = join(import.meta.dirname, "../..");
const pages = globSync(["*.md", "{docs,bench,examples,packages,test}/**/*.md"], {
  cwd: repository,
  exclude: (path) => path === "node_modules",
}).sort();

/** Text without fenced blocks and code spans, which may hold anything. */
function prose(path: string): string {
  return readFileSync(path, "utf8")
    .replace(/^```[^]*?^```$/gm, "")
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]]/g, ""));
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(path: string): Set<string> {
  const headings = prose(path).matchAll(/^#+ +(.+)$/gm);
  return new Set(
    [...headings].map(([, text]) =>
      text!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test("there are pages", () => assert.ok(pages.includes("README.md") && pages.length > 5));

for (const page of pages) {
  test(`the links of ${page} lead somewhere`, () => {
    const path = join(repository, page);
    const broken: string[] = [];
    for (const [, link] of prose(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link!)) continue;
      const [file, anchor] = link!.split("#");
      const target = file === "" ? path : join(dirname(path), file!);
      const isThere = existsSync(target) && (anchor === undefined || anchors(target).has(anchor));
      if (!isThere) broken.push(link!);
    }
    assert.deepEqual(broken, []);
  });
}
