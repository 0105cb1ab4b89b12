// The allowed imports between packages are the data of layers.json; this file only turns them into rules.
const layers = require("./layers.json");

const names = Object.keys(layers);
const pure = ["machinery", "kinds", "scheduling", "simulator", "slurm"];
const inputOutput =
  "^(node:)?(fs|fs/promises|net|http|https|http2|tls|dgram|dns|child_process|cluster|worker_threads|sqlite|os|process|readline)$";

module.exports = {
  forbidden: [
    ...names.map((name) => {
      const refused = names.filter((other) => other !== name && !layers[name].includes(other));
      return {
        name: `${name}-may-not-import`,
        severity: "error",
        from: { path: `^packages/${name}/`, pathNot: "\\.test\\.ts$" },
        to: { path: `^(packages/(${refused.join("|")})/|@berth/(${refused.join("|")})(/|$))` },
      };
    }),
    {
      name: "packages-meet-by-name",
      comment: "A package is imported as @berth/NAME, never by a path into its folder.",
      severity: "error",
      from: { path: "^packages/([^/]+)/" },
      to: {
        path: "^packages/([^/]+)/",
        pathNot: "^packages/($1/|[^/]+/src/(index|server|install/index|authentication/tokens)[.]ts$)",
      },
    },
    {
      name: "pure-packages-do-no-io",
      severity: "error",
      from: { path: `^packages/(${pure.join("|")})/src/`, pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["core"], path: inputOutput },
    },
    {
      name: "no-circular",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "unknown-package",
      severity: "error",
      from: {},
      to: {
        path: "^@berth/",
        pathNot: `^@berth/(${names.join("|")}|machinery/server|kinds/install|apiserver/tokens)$`,
      },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    parser: "swc",
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "node", "default"],
      extensions: [".ts", ".js"],
    },
  },
};
