// pino target `logboom/spool`.
import { createTarget } from './create-target.ts'

export default createTarget('spool')
