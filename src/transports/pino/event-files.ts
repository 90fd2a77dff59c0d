// pino target `logboom/event-files`.
import { createTarget } from './create-target.ts'

export default createTarget('event-files')
