// pino target `logboom/wal`.
import { createTarget } from './create-target.ts'

export default createTarget('wal')
