/** What an answer is turned into before it is sent. Bodies are always JSON. */
export type Rendering =
  | { as: "Object" }
  | { as: "Table"; version: "v1" | "v1beta1" }
  | { as: "PartialObjectMetadata"; version: "v1" | "v1beta1" };

interface MediaRange {
  type: string;
  parameters: Record<string, string>;
}

const plain: Rendering = { as: "Object" };
const parsed = new Map<string, MediaRange[]>();

function mediaRanges(accept: string): MediaRange[] {
  let ranges = parsed.get(accept);
  if (ranges !== undefined) return ranges;
  ranges = accept
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const [type = "", ...pairs] = part.split(";").map((piece) => piece.trim());
      const parameters: Record<string, string> = {};
      for (const pair of pairs) {
        const [name = "", value = ""] = pair.split("=");
        parameters[name.trim()] = value.trim();
      }
      return { type: type.toLowerCase(), parameters };
    });
  if (parsed.size > 1000) parsed.clear();
  parsed.set(accept, ranges);
  return ranges;
}

function isJson(type: string): boolean {
  return type === "application/json" || type === "*/*" || type === "application/*" || type === "";
}

/** The first form of the Accept header that this server can give; `undefined`: none (406). */
export function negotiate(accept: string | undefined): Rendering | undefined {
  if (accept === undefined || accept === "" || accept === "application/json") return plain;
  for (const { type, parameters } of mediaRanges(accept)) {
    if (!isJson(type)) continue;
    const as = parameters["as"];
    if (as === undefined) return plain;
    const version = parameters["v"];
    if (parameters["g"] !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) continue;
    if (as === "Table") return { as: "Table", version };
    if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") {
      return { as: "PartialObjectMetadata", version };
    }
  }
  return undefined;
}

/** Which shape of discovery is asked for: aggregated `v2` or `v2beta1`, or the legacy one; `undefined`: none (406). */
export function negotiateDiscovery(accept: string | undefined): "v2" | "v2beta1" | "legacy" | undefined {
  if (accept === undefined || accept === "") return "legacy";
  for (const { type, parameters } of mediaRanges(accept)) {
    if (!isJson(type)) continue;
    const as = parameters["as"];
    if (as === undefined) return "legacy";
    const version = parameters["v"];
    if (as === "APIGroupDiscoveryList" && parameters["g"] === "apidiscovery.k8s.io") {
      if (version === "v2" || version === "v2beta1") return version;
    }
  }
  return undefined;
}

/** Whether JSON is among what the Accept header takes. */
export function acceptsJson(accept: string | undefined): boolean {
  return accept === undefined || accept === "" || mediaRanges(accept).some(({ type }) => isJson(type));
}
