# Reference numbers of tests of terms: writes anova.json into the working directory.
#
# The working directory has sleepstudy.csv, cake.csv, Exam.csv, cbpp.csv (the data sets
# of the package, `ngmm.datasets.load(name).to_csv(...)`) and unbalanced.csv (`data` in
# anova.json). Needs lme4, lmerTest, pbkrtest, jsonlite.
suppressMessages({library(lmerTest); library(pbkrtest); library(jsonlite)})
control <- lmerControl(optimizer = "nlminbwrap", calc.derivs = FALSE,
                       optCtrl = list(eval.max = 50000, iter.max = 20000, rel.tol = 1e-15,
                                      x.tol = 1e-12))
read <- function(name, factors) {
  d <- read.csv(paste0(name, ".csv"))
  for (f in factors) d[[f]] <- factor(d[[f]])
  d
}
sleepstudy <- read("sleepstudy", "Subject")
cake <- read("cake", c("replicate", "recipe", "temperature"))
Exam <- read("Exam", c("school", "sex"))
Exam$schgend <- factor(Exam$schgend, levels = c("mixed", "boys", "girls"))
unbalanced <- read("unbalanced", c("a", "b", "g", "h"))
missing_cell <- subset(unbalanced, empty == 0)
cbpp <- read("cbpp", c("herd", "period"))

rows <- function(table, names) {
  lapply(seq_len(nrow(table)), function(i)
    c(list(term = rownames(table)[i]), setNames(as.list(table[i, ]), names)))
}
anova_names <- c("sum_sq", "mean_sq", "num_df", "den_df", "F", "p")
kr <- function(fit) {
  # One adjusted covariance for all terms; KRmodcomp makes it again for each.
  adjusted <- vcovAdj(fit)
  tests <- attr(anova(fit, type = 3), "hypotheses")
  lapply(names(tests), function(name) {
    s <- pbkrtest:::.KR_adjust(adjusted, vcov(fit), tests[[name]], fixef(fit), 0)
    list(term = name, num_df = s$ndf, den_df = s$ddf, F = s$Fstat, p = s$p.value,
         scale = s$F.scaling)
  })
}
case <- function(name, formula, data, data_name, coding = "contr.treatment", reml = TRUE,
                 kenward = TRUE, ranova = TRUE, drop = TRUE) {
  options(contrasts = c(coding, "contr.poly"))
  assign("d", data, envir = globalenv())
  fit <- eval(bquote(lmer(.(as.formula(formula)), d, REML = .(reml), control = control)))
  out <- list(name = name, formula = formula, data = data_name, coding = coding,
              reml = reml, loglik = as.numeric(logLik(fit)))
  for (type in 1:3)
    out[[paste0("type", type)]] <- rows(anova(fit, type = type), anova_names)
  if (kenward) {
    out$kenward_roger <- kr(fit)
    out$vcov_adjusted <- unname(as.matrix(vcovAdj(fit)))
    reml_fit <- if (reml) fit else update(fit, REML = TRUE)
    out$kr_df <- sapply(seq_along(fixef(fit)), function(i)
      Lb_ddf(diag(length(fixef(fit)))[i, ], vcov(reml_fit), vcovAdj(reml_fit)))
  }
  if (drop) {
    ml <- update(fit, REML = FALSE)
    out$drop1_lrt <- rows(lme4:::drop1.merMod(ml, test = "Chisq"),
                          c("npar", "AIC", "LRT", "p"))
    out$drop1_F <- rows(drop1(fit), anova_names)
  }
  if (ranova) out$ranova <- rows(ranova(fit), c("npar", "loglik", "AIC", "LRT", "df", "p"))
  options(contrasts = c("contr.treatment", "contr.poly"))
  out
}
both <- "y ~ a * b + a * x + (1 + x | g) + (1 | h)"
cases <- list(
  case("sleepstudy", "Reaction ~ Days + (Days | Subject)", sleepstudy, "sleepstudy"),
  case("cake_factor", "angle ~ recipe * temperature + (1 | recipe:replicate)", cake, "cake"),
  case("cake_covariate", "angle ~ recipe * temp + (1 | recipe:replicate)", cake, "cake"),
  case("cake_sum", "angle ~ recipe * temp + (1 | recipe:replicate)", cake, "cake",
       coding = "contr.sum"),
  case("exam", "normexam ~ standLRT * schgend + sex + (standLRT | school)", Exam, "Exam"),
  case("unbalanced", both, unbalanced, "unbalanced"),
  case("unbalanced_sum", both, unbalanced, "unbalanced", coding = "contr.sum"),
  case("unbalanced_ml", both, unbalanced, "unbalanced", reml = FALSE, kenward = FALSE),
  case("unbalanced_uncorrelated", "y ~ a + b + x + (1 | g) + (0 + x | g) + (1 | h)",
       unbalanced, "unbalanced"),
  case("missing_cell", "y ~ a * b + x + (1 | g)", missing_cell, "missing_cell"),
  case("missing_cell_sum", "y ~ a * b + x + (1 | g)", missing_cell, "missing_cell",
       coding = "contr.sum", kenward = FALSE, ranova = FALSE, drop = FALSE)
)
g <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
           nAGQ = 25, control = glmerControl(optimizer = "nlminbwrap", tolPwrss = 1e-12))
b <- fixef(g)[-1]
v <- as.matrix(vcov(g))[-1, -1]
glmm <- list(name = "cbpp",
             formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)",
             call = "glmer(..., nAGQ = 25)",
             chi2 = sum(b * solve(v, b)), df = 3,
             drop1 = rows(drop1(g, test = "Chisq"), c("npar", "AIC", "LRT", "p")),
             loglik_glm = as.numeric(logLik(
               glm(cbind(incidence, size - incidence) ~ period, binomial, cbpp))))
version <- function(p) as.character(packageVersion(p))
out <- list(
  about = paste("lmerTest::anova (type1 to type3, Satterthwaite), pbkrtest",
                "(kenward_roger, vcov_adjusted, kr_df), lmerTest::drop1 (drop1_F),",
                "lme4::drop1 (drop1_lrt, of the fit by ML), lmerTest::ranova; made by",
                "make_anova.R"),
  r = R.version.string, lme4 = version("lme4"), lmerTest = version("lmerTest"),
  pbkrtest = version("pbkrtest"), data = list(unbalanced = as.list(read.csv("unbalanced.csv"))),
  cases = cases, glmm = glmm)
writeLines(toJSON(out, digits = NA, auto_unbox = TRUE, na = "null"), "anova.json")
