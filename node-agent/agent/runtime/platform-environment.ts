// What every instance is told of itself, beside its own environment.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { NodeId, RegionName } from "../../../contracts/ids.ts";
import type { PlatformEnvironment } from "./runtime.ts";

/** The names of the customer's own variables: by them an agent that comes later knows which values are not for logs. */
export const SECRET_NAMES = "BERTH_VARIABLES";

export const withSecretNames = (platform: PlatformEnvironment, secrets: PlatformEnvironment): PlatformEnvironment => {
  const names = Object.keys(secrets);
  return names.length === 0 ? platform : { ...platform, [SECRET_NAMES]: names.join(",") };
};

export const platformEnvironmentOf =
  (node: NodeId, region: RegionName) =>
  ({ appName, release, version, instance }: DesiredInstance): PlatformEnvironment => ({
    BERTH_APP: appName,
    BERTH_RELEASE: release,
    BERTH_VERSION: String(version),
    BERTH_INSTANCE: instance,
    BERTH_NODE: node,
    BERTH_REGION: region,
  });
