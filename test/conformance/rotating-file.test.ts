import { conformance } from './conformance.ts'
import { rotatingFile } from './subjects/rotating-file.ts'

conformance(rotatingFile)
