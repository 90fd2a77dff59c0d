import { conformance } from './conformance.ts'
import { spool } from './subjects/spool.ts'

conformance(spool)
