// Names of the pid files in the agent's folder that more than one process looks at.

export const AGENT_PID_FILE = "agent.pid";
export const WATCHDOG_PID_FILE = "watchdog.pid";
