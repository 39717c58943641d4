# Fits the designs of tests/reference/test_mixed_lme4.py with lme4 and lmerTest, and writes their numbers down.
suppressPackageStartupMessages({library(lmerTest); library(jsonlite)})
given <- commandArgs(trailingOnly = TRUE)
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e5, rhoend = 1e-9),
                       check.conv.singular = "ignore", check.conv.grad = "ignore")
designs <- list()
for (path in sort(list.files(given[1], pattern = "\\.csv$", full.names = TRUE))) {
  name <- sub("\\.csv$", "", basename(path))
  options <- fromJSON(sub("\\.csv$", ".json", path))
  bar <- if (options$correlated) "|" else "||"
  random <- sapply(c("participant", "item"), function(group)
    if (group %in% options$slopes) sprintf("(1 + x %s %s)", bar, group) else sprintf("(1 | %s)", group))
  table <- read.csv(path)
  fit <- lmer(as.formula(paste("y ~ x +", paste(random, collapse = " + "))), table, REML = TRUE, control = control)
  ml <- refitML(fit)
  without <- update(ml, . ~ . - x)
  tested <- anova(without, ml)
  said <- coef(summary(fit))
  information <- function(fit) list(log_likelihood = as.numeric(logLik(fit)), aic = AIC(fit), bic = BIC(fit))
  spread <- as.data.frame(VarCorr(fit))
  spread <- spread[is.na(spread$var2), ]
  names <- ifelse(spread$grp == "Residual", "residual",
                  paste0(sub("\\.[0-9]+$", "", spread$grp), ": ", ifelse(spread$var1 == "(Intercept)", "1", "x")))
  designs[[name]] <- list(
    rows = nrow(table), sum = sum(table$y), estimates = unname(said[, "Estimate"]),
    standard_errors = unname(said[, "Std. Error"]), df = unname(said[, "df"]), criterion = REMLcrit(fit),
    standard_deviations = setNames(as.list(spread$sdcor), names),
    reml = information(fit), ml = c(information(ml), list(estimates = unname(fixef(ml)))),
    ratio = list(statistic = tested$Chisq[2], df = tested$Df[2], p = tested$`Pr(>Chisq)`[2]),
    random_effects = lapply(ranef(fit), function(levels) lapply(levels, c)))
}
write(toJSON(list(
  command = "python tests/reference/test_mixed_lme4.py FOLDER; Rscript tests/golden/mixed_lme4.R FOLDER FILE",
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), lme4 = as.character(packageVersion("lme4")),
                  lmerTest = as.character(packageVersion("lmerTest"))),
  tolerance = "standard errors: 1e-3 of themselves; estimates: 1e-3 of their standard errors",
  designs = designs), auto_unbox = TRUE, digits = 10, pretty = TRUE), given[2])
