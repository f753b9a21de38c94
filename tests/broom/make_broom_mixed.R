# What broom.mixed gives of fits of lme4: Rscript make_broom_mixed.R > broom_mixed.json
suppressMessages({library(lme4); library(lmerTest); library(broom.mixed); library(jsonlite)})

tight <- list(rhobeg = 0.02, rhoend = 1e-9, maxfun = 1e5)
linear <- lmerControl(optimizer = "bobyqa", optCtrl = tight)
general <- glmerControl(optimizer = "bobyqa", optCtrl = tight, tolPwrss = 1e-12)

show <- function(m, conf.int = TRUE, ...) list(
  tidy = as.data.frame(tidy(m, conf.int = conf.int, ...)),
  ran_vals = as.data.frame(tidy(m, effects = "ran_vals", conf.int = TRUE, ...)),
  ran_coefs = as.data.frame(tidy(m, effects = "ran_coefs", ...)),
  glance = as.data.frame(glance(m)),
  augment = as.data.frame(augment(m))[
    , c(".fitted", ".resid", ".hat", ".cooksd", ".fixed", ".mu", ".offset", ".weights",
        ".wtres")])

days <- Reaction ~ Days + (Days | Subject)
reml <- lmerTest::lmer(days, sleepstudy, control = linear)
ml <- lme4::lmer(days, sleepstudy, REML = FALSE, control = linear)
incidence <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp,
                   family = binomial, control = general)
out <- list(
  versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")),
                  lmerTest = as.character(packageVersion("lmerTest")),
                  broom.mixed = as.character(packageVersion("broom.mixed"))),
  reml = show(reml), ml = show(ml),
  binomial = suppressWarnings(show(incidence)),
  odds = as.data.frame(tidy(incidence, effects = "fixed", conf.int = TRUE,
                            exponentiate = TRUE)))
cat(toJSON(out, dataframe = "columns", digits = I(12), na = "null", auto_unbox = TRUE,
           pretty = FALSE), "\n")
