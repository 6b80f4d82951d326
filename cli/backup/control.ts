// The control plane as backups speak to it: objects' pages as lines out; and in, where the API carries the setup token.
import { z } from "zod";
import {
  AgentChannel,
  BackupKeys,
  type ChannelDocument,
  type LoadRequest,
  ObjectPage,
  type ObjectRef,
} from "../../contracts/backup.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Api } from "../client.ts";
import { CommandFailure, EXIT } from "../failure.ts";

/** The pages of these objects, in order. Throws where one is missing. */
export async function dumpObjects(api: Api, objects: readonly ObjectRef[]): Promise<ObjectPage[]> {
  const text = await api.post("/v1/backup/objects", { objects });
  const pages = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ObjectPage.parse(JSON.parse(line)));
  const complete = pages.filter(({ page, pages: of }) => page === of - 1).length;
  if (complete === objects.length) return pages;
  throw new CommandFailure(`Only ${complete} of ${objects.length} objects answered`, EXIT.unreachable, "Try again.");
}

export const readKeys = (api: Api): Promise<BackupKeys> => api.call(BackupKeys, "POST", "/v1/backup/keys");

export const readChannel = (api: Api): Promise<AgentChannel> =>
  api.call(AgentChannel, "GET", "/v1/backup/agent-channel");

const Fingerprints = z.object({ fingerprints: z.record(z.string(), z.string()) });

/** By name, of the platform that is to be restored. */
export async function fingerprintsOf(api: Api): Promise<Record<string, string>> {
  return (await api.call(Fingerprints, "GET", "/restore/v1/keys")).fingerprints;
}

export async function loadObjects(api: Api, request: LoadRequest): Promise<void> {
  await api.post("/restore/v1/objects", request);
}

export async function handOverEvents(api: Api, source: string, events: readonly BerthEvent[]): Promise<void> {
  await api.post("/restore/v1/events", { source, events });
}

const DOCUMENTS_AT_ONCE = 50;

/** What is there already stays. */
export async function putDocuments(api: Api, documents: readonly ChannelDocument[]): Promise<void> {
  for (let from = 0; from < documents.length; from += DOCUMENTS_AT_ONCE)
    await api.post("/restore/v1/documents", { documents: documents.slice(from, from + DOCUMENTS_AT_ONCE) });
}
