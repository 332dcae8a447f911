package oc

// pageHead is the beginning of the page: runs and seed.
const pageHead = `<!-- Printed by make oc. Do not edit. -->

# Operating characteristics

How often does Assay roll back a release that is fine, however long it looks? How soon does it find a bad one? How often does
it promote at all? Here it judges simulated releases, and beside it Kayenta's judge, Argo-style and Flagger-style rules look at
the very same draws. Nothing is tuned for this page: the settings are those that a policy without any has.

%d runs a row at most (each table says how many), seed %d; ` + "`make oc RUNS=`" + ` repeats it, and the same seed gives the same numbers on
any number of processors. Figures in parentheses are 95%% intervals (Wilson); where there are none, a share p of n runs has a
standard error of √(p(1−p)/n).

`

// pageReading says how to read the tables: the lateness of each cadence.
const pageReading = `## How to read it

- A *cadence* is what lies between two folds: 5 s for pushed or streamed telemetry, 15 s for a dense scrape, 60 s for the
  usual one. Assay looks after every fold, the peers once a minute.
- Minutes are event time, from the deployment, or from the onset where a regression begins late, to the end of the fold that decides. An answer comes when
  that fold is closed: add %s min at 5 s, %s min at 15 s and %s min at 60 s (two cadences and ten seconds for data on its way).
  The peers are given their data without delay.
- Assay's harm evidence is tested against a *tolerance* (1.05 times the baseline, with an SLO a quarter of the error budget
  beside it), its safety evidence against a *margin*. Peers without a margin call a true +5%% a difference, and are right in
  their terms.
- What dispersion there is between pods is learned from a simulated day before the deployment, unless the row says otherwise.
- "Held" is what is neither promoted nor rolled back by the deadline. It is no failure of the release: a person or a policy
  decides.

**What can be claimed**: the rate of false rollbacks stays at its nominal 1%% under continuous looking, shared incidents,
bursts, autocorrelation and ramps, where fixed thresholds and repeated tests do not; there is a margin that says what counts;
a severe regression is found within a few folds.

**What cannot be claimed**: more power than a test without margin or correction. A regression of 25%% is found less often than
by a z-test each minute: the tolerance costs, dispersion costs, and looking all the time costs about 1.4 times the sample of a
single look. The hardest worlds are arms that wander slowly and independently, and dispersion that no history shows: there 2%%
are rolled back, more where history shows another kind of wandering. Kayenta's test on error rates a minute is well calibrated
where minutes are independent; its weaknesses are speed, low counts and autocorrelation. Argo and Flagger do what their
thresholds say; thresholds tuned to one service give other figures. The worlds are idealised: expect less in production.

`

// pageFoot is its end.
const pageFoot = `## Limits

- A regression that begins late can be promoted before it begins; such rows count rollbacks after the onset only, and an alarm
  of a peer before the onset as not found.
- Counts are drawn tick by tick in both arms; there is no queueing, no retry and no user who comes back.
- Dispersion learned on one day is that of the day judged. Where it is not (clusters without history, arms that wander as a
  whole), the rows say what happens.
- Kayenta's judge is written from its source (a69573b) and reproduces its own test cases; its score over many metrics is here
  "any critical metric fails". Argo and Flagger get the settings named above; a team that tunes its thresholds to its service
  gets other figures.
`
