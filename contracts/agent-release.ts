// Agent releases: what an operator signs offline, what a node is told to run, and how far an upgrade of a region is.
import { z } from "zod";
import { AtMs, CellName, NodeId, RegionName } from "./ids.ts";

/** JWT type of a manifest: a compact JWS by an offline release key (Ed25519), whose payload is an AgentManifest. */
export const AGENT_RELEASE_TYP = "berth-agent+jwt";
/** A bundle is about 3 MB; a node reads no more than this before it gives up. */
export const AGENT_BUNDLE_BYTES_MAX = 64_000_000;

/** Public halves of release keys: pinned in the agent's bundle, in its options, and in the control Worker's AGENT_RELEASE_KEYS. */
export const ReleaseKey = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/, { message: "must be 32 bytes in base64url" }),
  kid: z.string().min(1).max(64),
});
export type ReleaseKey = z.infer<typeof ReleaseKey>;

/** major.minor.patch: releases are whole; there are no pre-releases of an agent. */
export const AgentVersion = z
  .string()
  .max(32)
  .regex(/^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$/, { message: "must be a version such as 1.2.3" });

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, { message: "must be a SHA-256 in hexadecimal digits" });

/** protocol: the agent protocol it speaks. notBefore: no node runs it earlier. */
export const AgentManifest = z.object({
  version: AgentVersion,
  sha256: Sha256,
  bytes: z.int().positive().max(AGENT_BUNDLE_BYTES_MAX),
  protocol: z.int().positive(),
  notBefore: AtMs,
});
export type AgentManifest = z.infer<typeof AgentManifest>;

export const SignedManifest = z
  .string()
  .max(4_096)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/, { message: "must be a signed manifest: a compact JWS" });

/** One upgrade of a region, from its start: a node that reverted tries the same release again only in another attempt. */
export const UpgradeAttempt = z.string().regex(/^[0-9a-f]{16}$/);

/** In a desired document: which agent the node is to run. Absent: the one it runs. */
export const DesiredAgent = z.object({ attempt: UpgradeAttempt, manifest: SignedManifest });
export type DesiredAgent = z.infer<typeof DesiredAgent>;

/**
 * In a heartbeat, of agents that know upgrades. able: a launcher started it and it has release keys; unable: why not.
 * refused and reverted are final for that attempt; fetching carries what last went wrong, and goes on.
 */
export const AgentReport = z.object({
  able: z.boolean(),
  unable: z.string().max(200).optional(),
  sha256: Sha256.nullable(),
  upgrade: z
    .object({
      attempt: UpgradeAttempt,
      state: z.enum(["waiting", "fetching", "switching", "refused", "reverted"]),
      message: z.string().max(500),
    })
    .nullable(),
  /** Of the gateway process, which is handed over after the agent. null: none answers, or it is older than this field. */
  gatewayVersion: z.string().max(64).nullable(),
});
export type AgentReport = z.infer<typeof AgentReport>;

// ---- the API ----

/** POST /v1/agent-releases. Its bytes were uploaded before: PUT /v1/agent-bundles/{sha256}. */
export const AgentReleaseCreate = z.strictObject({ manifest: SignedManifest });
export const AgentRelease = AgentManifest.extend({ manifest: SignedManifest });
export type AgentRelease = z.infer<typeof AgentRelease>;

/** POST /v1/agent-upgrades. Without a region: all of them, one after the other. */
export const AgentUpgradeCreate = z.strictObject({ version: AgentVersion, region: RegionName.optional() });
export const AgentUpgradeChange = z.strictObject({
  region: RegionName.optional(),
  reason: z.string().min(1).max(500).optional(),
});

/** The stages of a region, each wholly judged before the next: they narrow what a bad release can reach. */
export const UPGRADE_STAGES = ["one_node", "one_cell", "ten_percent", "all"] as const;
export type UpgradeStage = (typeof UPGRADE_STAGES)[number];

/** Nodes of a region or cell in one upgrade. had: ran it (or a newer one) before; unable: see AgentReport; away: not heard. */
export const UpgradeCounts = z.object({
  nodes: z.int(),
  had: z.int(),
  upgraded: z.int(),
  underWay: z.int(),
  waiting: z.int(),
  unable: z.int(),
  away: z.int(),
});
export type UpgradeCounts = z.infer<typeof UpgradeCounts>;

/** A node that an upgrade could not bring over, and why in words. node null: a cell, which name names. */
export const UpgradeFault = z.object({ node: NodeId.nullable(), name: z.string(), why: z.string().max(600) });
export type UpgradeFault = z.infer<typeof UpgradeFault>;

export const AgentUpgrade = z.object({
  region: RegionName,
  attempt: UpgradeAttempt,
  version: AgentVersion,
  state: z.enum(["running", "paused", "failed", "aborted", "completed"]),
  stage: z.enum(UPGRADE_STAGES),
  startedAtMs: AtMs,
  startedBy: z.string(),
  endedAtMs: AtMs.nullable(),
  counts: UpgradeCounts,
  /** Cells that the present stage waits for. */
  cells: z.array(CellName),
  /** What stopped it. */
  fault: UpgradeFault.nullable(),
  /** Nodes that it passes over because they cannot be upgraded so, at most ten, and why. */
  unable: z.array(UpgradeFault),
  story: z.array(z.object({ atMs: AtMs, text: z.string() })),
  /** Regions that follow once this one is completed. */
  next: z.array(RegionName),
});
export type AgentUpgrade = z.infer<typeof AgentUpgrade>;
export const AgentUpgrades = z.object({ items: z.array(AgentUpgrade) });
export type AgentUpgrades = z.infer<typeof AgentUpgrades>;
