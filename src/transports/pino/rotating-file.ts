// Generated from the registry of sinks by `npm run docs`: pino target `logboom/rotating-file`, also the worker of our own
// transports.
import { rotatingFile } from '../../core/rotating-file/kind.ts'
import { createTarget } from './create-target.ts'

export default createTarget(rotatingFile)
