// Package oc simulates releases and lets Assay and its peers judge them on the same
// draws, which gives the operating characteristics that the documentation prints:
// how often a healthy canary is rolled back however long one looks, how soon a bad
// one is found, and how often anything is promoted at all.
//
// The story of one run:
//
//  1. A world draws what both arms do, in ticks of five seconds: counts, latencies
//     or levels, with the day of history before the deployment.
//  2. Assay learns its history with package analysis/history, freezes a plan, and
//     judges the ticks folded at cadences of 5, 15 and 60 seconds, through the same
//     calls as the service: NewPlan, Fold, Assess, Checks, Decide.
//  3. The rules of internal/peers look at the same ticks once a minute.
//  4. When each would have rolled back or promoted is one line of the work file.
//
// A run depends on the seed, its row and its number alone, never on how many
// workers there are; a run that is in the work file is not run again. [Page] and
// [Plots] print what the work file holds.
//
// Nothing here is part of the program, and nothing here judges: a bar that Assay
// misses is printed as it is.
package oc
