# Fits the three hundred designs of tests/reference/mixed_designs.py with lme4, from many starts, and writes down the best.
suppressPackageStartupMessages({library(lme4); library(jsonlite); library(minqa)})
given <- commandArgs(trailingOnly = TRUE)

# All components alike, each alone large or small, and those of each grouping alone large.
starts <- function(lower, groups) {
  diagonal <- lower == 0
  all <- lapply(c(3000, 300, 30, 1, 0.3, 0.05), function(size) ifelse(diagonal, size, 0))
  for (one in which(diagonal)) for (sizes in list(c(100, 1), c(0.1, 10))) {
    theta <- ifelse(diagonal, sizes[2], 0)
    theta[one] <- sizes[1]
    all <- c(all, list(theta))
  }
  for (group in unique(groups)) all <- c(all, list(ifelse(diagonal, ifelse(groups == group, 300, 0.5), 0)))
  all
}

# Along a narrow valley one descent ends early: start anew, by quasi-Newton steps on the logarithms of what is not zero
# in between, until nothing is won.
polish <- function(run, criterion, descend) {
  for (round in 1:50) {
    free <- abs(run$par) > 1e-4
    at <- function(logs) replace(run$par, free, sign(run$par[free]) * exp(logs))
    moved <- optim(log(abs(run$par[free])), function(logs) criterion(at(logs)), method = "BFGS",
                   control = list(reltol = 1e-15, maxit = 500, ndeps = rep(1e-5, sum(free))))
    again <- descend(at(moved$par), 1e-12)
    if (moved$value < again$fval) again <- list(par = at(moved$par), fval = moved$value)
    won <- run$fval - again$fval
    if (won > 0) run <- again
    if (won < 1e-9) break
  }
  run
}

best <- function(parsed, REML) {
  criterion <- do.call(mkLmerDevfun, c(parsed, list(REML = REML)))
  lower <- environment(criterion)$lower
  descend <- function(start, end) tryCatch(
    bobyqa(start, criterion, lower = lower, control = list(rhoend = end, maxfun = 1e5)),
    error = function(e) list(par = start, fval = Inf))
  sizes <- sapply(parsed$reTrms$cnms, length)
  groups <- rep(sub("\\.[0-9]+$", "", names(sizes)), sizes * (sizes + 1) / 2)
  runs <- lapply(starts(lower, groups), descend, end = 1e-4)
  lowest <- order(sapply(runs, `[[`, "fval"))[1:2]
  runs <- lapply(runs[lowest], function(run) polish(descend(run$par, 1e-10), criterion, descend))
  run <- runs[[which.min(sapply(runs, `[[`, "fval"))]]
  value <- criterion(run$par)
  fit <- mkMerMod(environment(criterion), list(par = run$par, fval = value, conv = 0, message = ""),
                  parsed$reTrms, fr = parsed$fr)
  list(fit = fit, theta = run$par, criterion = value)
}

term <- function(group, effects, correlated) {
  if (!("x" %in% effects)) return(sprintf("(1 | %s)", group))
  if (correlated) sprintf("(1 + x | %s)", group) else sprintf("(1 | %s) + (0 + x | %s)", group, group)
}

designs <- list()
for (path in sort(list.files(given[1], pattern = "\\.csv$", full.names = TRUE))) {
  model <- fromJSON(sub("\\.csv$", ".json", path))
  table <- read.csv(path)
  for (group in names(model$random)) table[[group]] <- factor(table[[group]])
  random <- mapply(term, names(model$random), model$random, MoreArgs = list(correlated = model$correlated))
  parse <- function() lFormula(as.formula(paste("y ~ x +", paste(random, collapse = " + "))), table,
                               control = lmerControl(check.conv.singular = "ignore"))[c("fr", "X", "reTrms")]
  reml <- best(parse(), TRUE)  # parsed anew for each, since a fit changes what it is given
  ml <- best(parse(), FALSE)
  designs[[sub("\\.csv$", "", basename(path))]] <- list(
    rows = nrow(table), sum = sum(table$y), reml = reml$criterion, ml = ml$criterion,
    estimates = unname(fixef(reml$fit)), standard_errors = unname(sqrt(diag(as.matrix(vcov(reml$fit))))),
    singular = isSingular(reml$fit, tol = 1e-4))
}
write(toJSON(list(
  command = "python tests/reference/test_mixed_campaign.py FOLDER; Rscript tests/golden/mixed_campaign.R FOLDER FILE",
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), lme4 = as.character(packageVersion("lme4"))),
  tolerance = "criteria: 1e-6",
  designs = designs), auto_unbox = TRUE, digits = 12, pretty = TRUE), given[2])
