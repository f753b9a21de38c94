# Seconds of lme4's bootMer and profile on one model, as a line of JSON.
#   Rscript bootstrap_lme4.R data.csv "formula" factor,columns draws family
arguments <- commandArgs(TRUE)
suppressMessages(library(lme4))
data <- read.csv(arguments[1])
for (name in strsplit(arguments[3], ",")[[1]]) data[[name]] <- factor(data[[name]])
formula <- as.formula(arguments[2])
gaussian <- arguments[5] == "gaussian"
fit <- if (gaussian) {
  lmer(formula, data, REML = FALSE)
} else {
  glmer(formula, data, family = binomial, nAGQ = 25)
}
statistic <- function(m) c(fixef(m), getME(m, "theta"), sigma(m))
draws <- as.integer(arguments[4])
boot <- system.time(suppressWarnings(suppressMessages(
  b <- bootMer(fit, statistic, nsim = draws, seed = 1)
)))[["elapsed"]]
profiled <- NA
if (gaussian) {
  profiled <- system.time(suppressMessages(
    confint(fit, method = "profile", quiet = TRUE)
  ))[["elapsed"]]
}
cat(sprintf(
  '{"version": "%s", "bootstrap": %.3f, "profile": %s, "sd": [%s]}\n',
  as.character(packageVersion("lme4")), boot,
  if (is.na(profiled)) "null" else sprintf("%.3f", profiled),
  paste(sprintf("%.6g", apply(b$t, 2, sd, na.rm = TRUE)), collapse = ", ")
))
