// Generated from the registry of sinks by `npm run docs`: pino target `logboom/event-files`, also the worker of our own
// transports.
import { eventFiles } from '../../core/event-files/kind.ts'
import { createTarget } from './create-target.ts'

export default createTarget(eventFiles)
