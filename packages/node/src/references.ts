import { isReason, resources, type Client } from "@berth/client";
import type { KubernetesObject } from "@berth/machinery";
import type { ReferencedData } from "./environment.ts";
import type { VolumeObject, VolumeSources } from "./volumes.ts";

type Secret = KubernetesObject & { data?: Record<string, string>; immutable?: boolean };
type ConfigMap = KubernetesObject & {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
  immutable?: boolean;
};

/** The tasks of an array all ask for one Secret at once; objects that cannot change are remembered for this long. */
const rememberMs = 60_000;

/** Secrets and config maps as pods ask for them: one request serves all that ask while it is under way. */
export class References implements VolumeSources {
  readonly #client: Client;
  readonly #known = new Map<string, Promise<VolumeObject | undefined>>();

  constructor(client: Client) {
    this.#client = client;
  }

  secret(namespace: string, name: string): Promise<VolumeObject | undefined> {
    return this.#get(`secret/${namespace}/${name}`, async () => {
      const secret = await this.#client.get<Secret>(resources.secrets, name, { namespace });
      return { object: secret, data: decode(secret.data) };
    });
  }

  configMap(namespace: string, name: string): Promise<VolumeObject | undefined> {
    return this.#get(`configmap/${namespace}/${name}`, async () => {
      const map = await this.#client.get<ConfigMap>(resources.configMaps, name, { namespace });
      const texts = Object.entries(map.data ?? {}).map(([key, value]) => [key, Buffer.from(value)] as const);
      return { object: map, data: { ...Object.fromEntries(texts), ...decode(map.binaryData) } };
    });
  }

  texts(namespace: string): ReferencedData {
    const asTexts = (object: VolumeObject | undefined): Record<string, string> | undefined =>
      object === undefined
        ? undefined
        : Object.fromEntries(Object.entries(object.data).map(([key, value]) => [key, value.toString("utf8")]));
    return {
      secret: async (name) => asTexts(await this.secret(namespace, name)),
      configMap: async (name) => asTexts(await this.configMap(namespace, name)),
    };
  }

  #get(
    key: string,
    ask: () => Promise<{ object: Secret | ConfigMap; data: Record<string, Buffer> }>,
  ): Promise<VolumeObject | undefined> {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const asked = (async () => {
      try {
        const { object, data } = await ask();
        if (object.immutable === true) setTimeout(() => this.#known.delete(key), rememberMs).unref();
        else this.#known.delete(key);
        return { uid: object.metadata.uid!, resourceVersion: object.metadata.resourceVersion!, data };
      } catch (error) {
        this.#known.delete(key);
        if (isReason(error, "NotFound")) return undefined;
        throw error;
      }
    })();
    this.#known.set(key, asked);
    return asked;
  }
}

function decode(data: Record<string, string> | undefined): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64")]));
}
