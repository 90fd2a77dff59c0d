// The commands, in the order of the help.
import { adopt } from './adopt.ts'
import { cat } from './cat.ts'
import type { Command } from './command.ts'
import { convert } from './convert.ts'
import { info } from './info.ts'
import { merge } from './merge.ts'
import { metrics } from './metrics.ts'
import { pipe } from './pipe.ts'
import { recover } from './recover.ts'
import { repair } from './repair.ts'
import { report } from './report.ts'
import { rotate } from './rotate.ts'
import { ship } from './ship.ts'
import { tail } from './tail.ts'
import { top } from './top.ts'
import { verify } from './verify.ts'

export const commands: readonly Command[] = [
  cat,
  tail,
  merge,
  info,
  top,
  metrics,
  report,
  verify,
  repair,
  recover,
  rotate,
  pipe,
  convert,
  adopt,
  ship
]
