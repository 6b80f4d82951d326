// From a reference to something the Engine can create from, pinned by digest. What is here already is not pulled again.
import type Docker from "dockerode";
import { parseAll } from "@swimlane/docker-reference";
import type { PullCredential } from "../../link/asks.ts";
import type { DiskGate } from "../../disk/disk-gate.ts";
import type { RegistryDoor } from "../../outbound/registry-door.ts";
import { EngineAway, type OnProgress, type Prepared, StartFailed, type StoredImage } from "../runtime.ts";
import { isEngineAway, messageOf, pullFailure, statusOf } from "./failures.ts";
import type { ImageLedger } from "./image-ledger.ts";

/** A registry that does not name a digest within this time is passed over when the image is here already. */
const DISTRIBUTION_TIMEOUT_MS = 5_000;

export interface ImageRequest {
  readonly team: string;
  readonly reference: string;
  readonly digest: string | null;
  readonly credential: PullCredential | null;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

type Image = Extract<Prepared, { kind: "image" }>;
/** image: the Engine's id. pulled: by this very request. */
type Found = { readonly image: string; readonly digest: string; readonly pulled: boolean };
type Inspected = Docker.ImageInspectInfo;

export interface ImagePorts {
  readonly platform: string;
  readonly stallMs: number;
  readonly gate: DiskGate;
  readonly ledger: ImageLedger;
  readonly door: RegistryDoor;
}

export class Images {
  readonly #docker: Docker;
  readonly #ports: ImagePorts;

  constructor(docker: Docker, ports: ImagePorts) {
    this.#docker = docker;
    this.#ports = ports;
  }

  async prepare(request: ImageRequest): Promise<Image> {
    const { image, digest, pulled } =
      request.digest === null ? await this.#resolve(request) : await this.#pinned(request, request.digest);
    const isPrivate = pulled ? request.credential !== null : await this.#requireShown(request, image, digest);
    const shownTo = isPrivate ? request.team : null;
    await this.#ports.ledger.used(image, digest, { pulled, shownTo }).catch(() => undefined);
    return { kind: "image", image, digest };
  }

  /** Every image of the Engine, whoever brought it here. */
  async list(): Promise<StoredImage[]> {
    const [images, containers] = await Promise.all([
      this.#docker.listImages(),
      this.#docker.listContainers({ all: true }),
    ]);
    const inUse = new Set(containers.map(({ ImageID }) => ImageID));
    const stored = images.map(async ({ Id, RepoDigests, RepoTags, Size }): Promise<StoredImage> => {
      const row = await this.#ports.ledger.of(Id);
      const byDigest = (RepoDigests ?? []).filter(isNamed);
      const digests = byDigest.flatMap((name) => digestOf(name) ?? []);
      const names = [...(RepoTags ?? []).filter(isNamed), ...byDigest];
      return {
        digests: [...new Set([...(row === undefined ? [] : [row.digest]), ...digests, Id])],
        names: [...names, Id],
        bytes: Size,
        usedAtMs: row?.usedAtMs ?? 0,
        inUse: inUse.has(Id),
        pulled: row?.pulled ?? false,
      };
    });
    return Promise.all(stored);
  }

  /** By all of its names, without force: the Engine itself refuses what a container uses. */
  async remove({ names }: StoredImage): Promise<void> {
    for (const name of names) {
      try {
        await this.#docker.getImage(name).remove();
      } catch (error) {
        if (statusOf(error) !== 404) throw error;
      }
    }
    await this.#ports.ledger.forget(names.at(-1) ?? "").catch(() => undefined);
  }

  /**
   * What one team pulled with its credential is here for another only once the registry has shown it to that one too. False: it is
   * nobody's secret. Where the registry cannot be asked nobody new gets it.
   */
  async #requireShown(request: ImageRequest, image: string, digest: string): Promise<boolean> {
    const { teams } = (await this.#ports.ledger.of(image)) ?? {};
    if (teams === undefined) return false;
    if (teams.includes(request.team)) return true;
    const asked = { ...request, reference: `${repositoryOf(request.reference)}@${digest}` };
    if ((await this.#askRegistry(asked, false)) !== null) return true;
    const message = `${request.reference}: the registry does not say whether this team may have it`;
    throw new StartFailed("image_pull_failed", message);
  }

  /** A digest is a registry's, or the id of an image that was only ever here. */
  async #pinned(request: ImageRequest, digest: string): Promise<Found> {
    const byDigest = `${repositoryOf(request.reference)}@${digest}`;
    const here = (await this.#inspect(byDigest)) ?? (await this.#inspect(digest));
    if (here !== null) return this.#checked(request, here, digest);
    await this.#pull(request, byDigest);
    return this.#afterPull(request, byDigest, digest);
  }

  async #resolve(request: ImageRequest): Promise<Found> {
    const { reference } = request;
    // In full: by a short name the Engine finds images by the beginning of their ids too, whosever they are.
    const here = await this.#inspect(qualified(reference));
    const known = here === null ? null : registryDigest(here, reference);
    if (here !== null && known === null) return this.#checked(request, here, here.Id);
    const repository = repositoryOf(reference);
    const wanted = digestOf(reference) ?? (await this.#askRegistry(request, here !== null));
    if (here !== null && (wanted === null || wanted === known)) return this.#checked(request, here, known ?? here.Id);
    const target = wanted === null ? reference : `${repository}@${wanted}`;
    await this.#pull(request, target);
    return this.#afterPull(request, target, wanted);
  }

  async #afterPull(request: ImageRequest, target: string, digest: string | null): Promise<Found> {
    const pulled = await this.#inspect(target);
    if (pulled === null) throw new StartFailed("image_pull_failed", `${target}: pulled, but not here`);
    return { ...this.#checked(request, pulled, digest ?? registryDigest(pulled, target) ?? pulled.Id), pulled: true };
  }

  #checked({ reference }: ImageRequest, image: Inspected, digest: string): Found {
    const platform = `${image.Os}/${image.Architecture}`;
    if (platform !== this.#ports.platform) {
      const ours = this.#ports.platform;
      throw new StartFailed("image_wrong_platform", `${reference} is for ${platform}; this node is ${ours}`);
    }
    return { image: image.Id, digest, pulled: false };
  }

  async #inspect(name: string): Promise<Inspected | null> {
    try {
      return await this.#docker.getImage(name).inspect();
    } catch (error) {
      if (statusOf(error) === 404 || statusOf(error) === 400) return null;
      if (isEngineAway(error)) throw new EngineAway(messageOf(error));
      throw new StartFailed("image_pull_failed", messageOf(error));
    }
  }

  /** The digest that the registry has for the tag now; null when it does not say and the image is here, or may yet be pulled by its tag. */
  async #askRegistry({ reference, credential }: ImageRequest, isHere: boolean): Promise<string | null> {
    await this.#admit(reference);
    const asked = this.#docker.getImage(qualified(reference)).distribution({ authconfig: authconfig(credential) });
    asked.catch(() => undefined);
    try {
      return (await within(asked, DISTRIBUTION_TIMEOUT_MS)).Descriptor.digest;
    } catch (error) {
      if (isEngineAway(error)) throw new EngineAway(messageOf(error));
      const failed = pullFailure(reference, error);
      if (isHere || failed.failure.code === "image_pull_failed") return null;
      throw failed;
    }
  }

  /** Throws where what the reference names is not the internet's, nor what the operator opened; the Engine would go there all the same. */
  async #admit(reference: string): Promise<void> {
    const refusal = await this.#ports.door.refusal(parseAll(reference).domain ?? "");
    if (refusal === null) return;
    const message = `${reference}: ${refusal}; an operator can allow a registry of their own (--outbound-allow)`;
    throw new StartFailed("image_pull_failed", message);
  }

  async #pull({ reference, credential, onProgress, signal }: ImageRequest, target: string): Promise<void> {
    const { gate, stallMs } = this.#ports;
    await this.#admit(reference);
    const full = await gate.admit(reference);
    const stall = new AbortController();
    const abortSignal = AbortSignal.any([signal, stall.signal, full]);
    let timer = setTimeout(() => stall.abort(), stallMs);
    const progress = layerProgress(onProgress);
    try {
      const stream = await this.#docker.pull(target, { authconfig: authconfig(credential), abortSignal });
      await new Promise<void>((resolve, reject) => {
        this.#docker.modem.followProgress(
          stream,
          (error: Error | null) => (error === null ? resolve() : reject(error)),
          (event: PullEvent) => {
            clearTimeout(timer);
            timer = setTimeout(() => stall.abort(), stallMs);
            progress(event);
          },
        );
      });
    } catch (error) {
      if (full.aborted) throw gate.refusal(reference);
      if (stall.signal.aborted) {
        throw new StartFailed("image_pull_failed", `${reference}: no progress for ${stallMs} ms`);
      }
      if (isEngineAway(error) && !signal.aborted) throw new EngineAway(messageOf(error));
      throw pullFailure(reference, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

interface PullEvent {
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** Sums what each layer reported last; the total grows while layers are discovered. */
function layerProgress(onProgress: OnProgress): (event: PullEvent) => void {
  const layers = new Map<string, { current: number; total: number }>();
  return ({ id, progressDetail }) => {
    const { current, total } = progressDetail ?? {};
    if (id === undefined || current === undefined || total === undefined || total <= 0) return;
    layers.set(id, { current: Math.min(current, total), total });
    let done = 0;
    let all = 0;
    for (const layer of layers.values()) {
      done += layer.current;
      all += layer.total;
    }
    onProgress(done, all);
  };
}

function authconfig(credential: PullCredential | null) {
  if (credential === null) return undefined;
  const { username, password, registry } = credential;
  return { username, password, serveraddress: registry };
}

/** The Engine calls an image that lost its tag `<none>@<none>`: no reference, and a parser throws at it. */
const isNamed = (name: string): boolean => !name.includes("<none>");

function repositoryOf(reference: string): string {
  return parseAll(reference).repositoryUrl;
}

function digestOf(reference: string): string | null {
  return parseAll(reference).digest ?? null;
}

/** With its registry and a tag, as the distribution endpoint wants it. */
function qualified(reference: string): string {
  const { repositoryUrl, tag, digest } = parseAll(reference);
  return digest === undefined ? `${repositoryUrl}:${tag ?? "latest"}` : `${repositoryUrl}@${digest}`;
}

/** The registry's digest of a local image under this repository, if it has one. */
function registryDigest(image: Inspected, reference: string): string | null {
  const repository = repositoryOf(reference);
  for (const known of image.RepoDigests ?? []) {
    if (repositoryOf(known) === repository) return digestOf(known);
  }
  return null;
}

async function within<Value>(work: Promise<Value>, ms: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
