// The agent's version, as it reports it.
export const AGENT_VERSION = "0.1.0";
