import { doctorCommand as declare } from "@tensorar/cli";

export const doctorCommand = declare(async () => (await import("../commands/doctor")).command);
